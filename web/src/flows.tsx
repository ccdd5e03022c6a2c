// Show me these flows: facets, a table that scrolls, one row whole.

import { elementScroll, observeElementOffset, observeElementRect, Virtualizer } from "@tanstack/virtual-core";
import { useEffect, useReducer, useRef, useState } from "preact/hooks";
import type { About, Facet, Facets, Flow, Flows } from "./api";
import { ask, Refused, useAnswer } from "./ask";
import { Confidence, Copy, Pane, useArrival } from "./parts";
import { filter, go, narrow, own, question, range, status } from "./state";
import { condition, number, plain, short, size } from "./text";
import { moment, rfc3339 } from "./times";

const ROW = 26;
/** One end in one cell: made of these columns. */
const ENDS = ["src", "dst"];
const OF_END = ["namespace", "workload", "pod", "service", "node", "ip", "port", "confidence"];
const USUAL = ["start_time", "src", "dst", "protocol", "bytes_out", "bytes_in"];
const FACETS = ["src_namespace", "src_workload", "src_confidence", "dst_namespace", "dst_workload", "dst_confidence", "dst_port", "protocol"];
const KEPT = "whowas-columns";

interface Pages {
  columns: string[];
  rows: unknown[][];
  ids: [string, string][];
  cursor: string;
  about: About | null;
  searched: number | null;
  waiting: boolean;
  error: string;
}

const EMPTY: Pages = { columns: [], rows: [], ids: [], cursor: "", about: null, searched: null, waiting: true, error: "" };

function chosenColumns(): string[] {
  try {
    const kept = JSON.parse(localStorage.getItem(KEPT) ?? "null") as unknown;
    if (Array.isArray(kept) && kept.every((one) => typeof one === "string") && kept.length) return kept;
  } catch {
    // What cannot be read is not kept.
  }
  return USUAL;
}

/** The columns to ask for: those of an end where the end is one cell. */
export function wanted(columns: string[]): string[] {
  const known = new Set((status.value?.columns ?? []).map((one) => one.name));
  const all = columns.flatMap((one) => (ENDS.includes(one) ? OF_END.map((part) => `${one}_${part}`) : [one]));
  return [...new Set(all)].filter((one) => !known.size || known.has(one));
}

/** Put a page behind those that are there. */
export function added(before: Pages, page: Flows): Pages {
  const count = page.flow_id.length;
  const rows = Array.from({ length: count }, (_, row) => page.columns.map((_name, column) => page.values[column]?.[row]));
  return {
    columns: page.columns,
    rows: [...before.rows, ...rows],
    ids: [...before.ids, ...page.flow_id.map((id, row): [string, string] => [page.hour[row] ?? "", id])],
    cursor: page.cursor,
    about: page.about,
    searched: page.searched_until,
    waiting: false,
    error: "",
  };
}

function usePages(columns: string[]): [Pages, () => void] {
  const [pages, setPages] = useState<Pages>(EMPTY);
  const control = useRef<AbortController | null>(null);
  const load = (before: Pages) => {
    control.current?.abort();
    const mine = new AbortController();
    control.current = mine;
    setPages({ ...before, waiting: true });
    ask("/api/flows", { ...question.value, columns: wanted(columns), cursor: before.cursor, limit: 200 }, mine.signal).then(
      (page) => mine.signal.aborted || setPages(added(before, page)),
      (error: Error) => mine.signal.aborted || setPages({ ...before, waiting: false, error: error instanceof Refused ? error.message : String(error) }),
    );
  };
  useEffect(() => {
    load(EMPTY);
    return () => control.current?.abort();
  }, [filter.value, range.value, columns.join()]);
  return [pages, () => !pages.waiting && pages.cursor !== "" && load(pages)];
}

export function FlowsScreen() {
  const [columns, setColumns] = useState(chosenColumns);
  const [pages, more] = usePages(columns);
  const [choosing, setChoosing] = useState(false);
  const open = own.value.flow ?? "";
  const keep = (next: string[]) => {
    localStorage.setItem(KEPT, JSON.stringify(next));
    setColumns(next);
  };
  return (
    <div class="flows">
      <FacetsPane />
      <section class="pane wide" aria-busy={pages.waiting} data-ready={!pages.waiting}>
        <header>
          <h2>Flows, newest first</h2>
          <span class="quiet">
            {number(pages.rows.length)}
            {pages.cursor ? " so far" : ""}
            {pages.about && ` · ${Math.round(pages.about.milliseconds)} ms`}
          </span>
          <button type="button" aria-expanded={choosing} onClick={() => setChoosing(!choosing)}>
            Columns
          </button>
        </header>
        {choosing && <ColumnChoice columns={columns} keep={keep} />}
        {pages.error && (
          <p class="wrong" role="alert">
            {plain(pages.error)}
          </p>
        )}
        {pages.searched !== null && pages.cursor && <p class="warn">Looked back to {moment(pages.searched)}; the rest takes longer: scroll on, or press More.</p>}
        <Grid pages={pages} columns={columns} more={more} />
        <p>
          <button type="button" disabled={pages.waiting || !pages.cursor} onClick={more}>
            More
          </button>{" "}
          {!pages.waiting && !pages.rows.length && !pages.error && <span class="quiet">No flow matches.</span>}
        </p>
      </section>
      {open && <OneFlow id={open} />}
    </div>
  );
}

function ColumnChoice({ columns, keep }: { columns: string[]; keep: (next: string[]) => void }) {
  return (
    <fieldset class="columns">
      <legend>Columns</legend>
      {[...ENDS.map((name) => ({ name, meaning: "name, address and how sure, in one" })), ...(status.value?.columns ?? [])].map((one) => (
        <label key={one.name} title={plain(one.meaning)}>
          <input
            type="checkbox"
            checked={columns.includes(one.name)}
            onChange={(event) => {
              const next = event.currentTarget.checked ? [...columns, one.name] : columns.filter((name) => name !== one.name);
              if (next.length) keep(next);
            }}
          />{" "}
          {one.name}
        </label>
      ))}
      <button type="button" onClick={() => keep(USUAL)}>
        the usual ones
      </button>
    </fieldset>
  );
}

/** One cell for people. */
export function cell(name: string, value: unknown) {
  if (value === null || value === undefined || value === "") return "";
  if (name.endsWith("_confidence") && typeof value === "string") return <Confidence word={value} />;
  if (name.endsWith("_time") && typeof value === "number") return moment(value, 3);
  if (name.startsWith("bytes_") && typeof value === "number") return size(value);
  if (typeof value === "number") return name.endsWith("_port") || name === "vlan" || name === "vni" ? String(value) : number(value);
  return <span title={plain(value)}>{short(value, 40)}</span>;
}

function useVirtual(count: number, box: { current: HTMLDivElement | null }) {
  const [, again] = useReducer((one: number) => one + 1, 0);
  const options = {
    count,
    getScrollElement: () => box.current,
    estimateSize: () => ROW,
    overscan: 12,
    observeElementRect,
    observeElementOffset,
    scrollToFn: elementScroll,
    onChange: () => again(0),
  };
  const [virtual] = useState(() => new Virtualizer<HTMLDivElement, HTMLDivElement>(options));
  virtual.setOptions(options);
  useEffect(() => virtual._didMount(), []);
  useEffect(() => virtual._willUpdate());
  return virtual;
}

/** Styles are set by script: a style attribute in markup is refused by the page's policy. */
function place(node: HTMLDivElement | null, what: "height" | "transform", value: string): void {
  if (node) node.style[what] = value;
}

/** One end: its name, its address, how sure. */
function End({ side, row }: { side: string; row: Record<string, unknown> }) {
  const of = (part: string) => row[`${side}_${part}`];
  const name = of("workload") || of("service") || of("pod") || of("node");
  const whole = name ? (of("namespace") ? `${of("namespace")}/${name}` : String(name)) : "";
  const ip = String(of("ip") ?? "");
  const address = of("port") === null || of("port") === undefined ? ip : `${ip.includes(":") ? `[${ip}]` : ip}:${of("port")}`;
  return (
    <>
      {typeof of("confidence") === "string" && <Confidence word={of("confidence") as string} />} {whole && <strong title={plain(whole)}>{short(whole, 34)} </strong>}
      <span title={plain(address)}>{plain(address)}</span>
    </>
  );
}

function Grid({ pages, columns, more }: { pages: Pages; columns: string[]; more: () => void }) {
  const box = useRef<HTMLDivElement>(null);
  const virtual = useVirtual(pages.rows.length, box);
  const seen = virtual.getVirtualItems();
  const last = seen.at(-1)?.index ?? 0;
  useEffect(() => {
    if (pages.rows.length && last >= pages.rows.length - 20) more();
  }, [last, pages.rows.length]);
  const rowAt = (row: number) => Object.fromEntries(pages.columns.map((name, column) => [name, pages.rows[row]?.[column]]));
  const open = (row: number) => {
    const [hour, id] = pages.ids[row] ?? ["", ""];
    own.value = { flow: `${hour} ${id}` };
  };
  return (
    <div ref={box} class="grid" role="grid" aria-rowcount={pages.cursor ? -1 : pages.rows.length} aria-label="Flows" tabIndex={0}>
      <div class="grid-row head" role="row">
        {columns.map((name) => (
          <span key={name} role="columnheader" class={`cell cell-${name.split("_").at(-1)}`}>
            {name}
          </span>
        ))}
      </div>
      <div class="grid-body" role="presentation" ref={(node) => place(node, "height", `${virtual.getTotalSize()}px`)}>
        {seen.map((one) => (
          <div
            key={one.key}
            class="grid-row"
            role="row"
            data-row
            tabIndex={-1}
            aria-rowindex={one.index + 2}
            ref={(node) => place(node, "transform", `translateY(${one.start}px)`)}
            onClick={() => open(one.index)}
            onKeyDown={(event) => event.key === "Enter" && open(one.index)}
          >
            {columns.map((name) => (
              <span key={name} role="gridcell" class={`cell cell-${name.split("_").at(-1)}`}>
                {ENDS.includes(name) ? <End side={name} row={rowAt(one.index)} /> : cell(name, rowAt(one.index)[name])}
              </span>
            ))}
          </div>
        ))}
      </div>
    </div>
  );
}

function FacetsPane() {
  const told = useAnswer("/api/facets", { ...question.value, columns: FACETS, limit: 8 });
  return (
    <Pane title="Counts" asked={told}>
      {(answer: Facets) => answer.facets.map((one) => <FacetList key={one.column} facet={one} />)}
    </Pane>
  );
}

function FacetList({ facet }: { facet: Facet }) {
  if (facet.skipped)
    return (
      <p class="quiet">
        {facet.column}: {plain(facet.skipped)}
      </p>
    );
  const where = (value: unknown) => condition("where", `${facet.column}=${String(value)}`);
  return (
    <details open>
      <summary>{facet.column}</summary>
      <ul class="list">
        {facet.values.map((value, row) => (
          <li key={row}>
            {value === null ? (
              <span class="quiet">none</span>
            ) : (
              <>
                <button type="button" class="link" title={plain(value)} onClick={() => narrow(where(value))}>
                  {short(value, 26)}
                </button>
                <button type="button" class="link" aria-label={`leave out ${plain(value)}`} onClick={() => narrow(`not ${where(value)}`)}>
                  ≠
                </button>
              </>
            )}{" "}
            {facet.confidence[row] && <Confidence word={facet.confidence[row] as string} />} <span class="quiet">{number(facet.flows[row] ?? 0)}</span>
          </li>
        ))}
        {facet.more > 0 && <li class="quiet">{number(facet.more)} more</li>}
      </ul>
    </details>
  );
}

function OneFlow({ id }: { id: string }) {
  const [hour, flow_id] = id.split(" ") as [string, string];
  const told = useAnswer("/api/flow", { hour, flow_id });
  const box = useArrival<HTMLElement>();
  const close = () => {
    own.value = {};
  };
  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      if (event.key !== "Escape") return;
      close();
      event.preventDefault();
    };
    addEventListener("keydown", press, true);
    return () => removeEventListener("keydown", press, true);
  }, []);
  return (
    <aside ref={box} tabIndex={-1} class="pane one" aria-label="One flow" aria-busy={told.waiting}>
      <header>
        <h2>One flow</h2>
        <button type="button" onClick={close}>
          Close
        </button>
      </header>
      {told.error && <p class="wrong">{plain(told.error.message)}</p>}
      {told.answer && <FlowWhole told={told.answer} />}
    </aside>
  );
}

function FlowWhole({ told }: { told: Flow }) {
  const entries = Object.entries(told.row).filter(([, value]) => value !== null && value !== "" && !(Array.isArray(value) && !value.length));
  const at = typeof told.row.start_time === "string" ? Date.parse(told.row.start_time) * 1000 : null;
  return (
    <>
      <p>
        {(["src_ip", "dst_ip"] as const).map((name) =>
          told.row[name] ? (
            <button
              key={name}
              type="button"
              onClick={() => go("who", { what: String(told.row[name]), ...(at ? { at: String(at) } : {}) })}
            >
              who was {plain(told.row[name])}
            </button>
          ) : null,
        )}
      </p>
      <dl class="row">
        {entries.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{typeof value === "object" ? <pre>{plain(JSON.stringify(value, null, 1)).replaceAll("\\u000a", "\n")}</pre> : plain(value)}</dd>
          </div>
        ))}
      </dl>
      {told.commands.map((one) => (
        <Copy key={one} label="The same on the command line" text={one} />
      ))}
      {at !== null && (
        <button
          type="button"
          onClick={() => {
            range.value = { since: at - 60_000_000, until: at + 60_000_000 };
          }}
        >
          one minute around {rfc3339(at)}
        </button>
      )}
    </>
  );
}
