// One flow whole: both ends and why they are named so, what else saw it, and the commands that show it again.

import { useLayoutEffect } from "preact/hooks";
import type { Flow, Flows } from "./api";
import { useAnswer } from "./ask";
import { cell } from "./grid";
import { Confidence, Copy, useArrival } from "./parts";
import { FlowPolicies } from "./policies";
import { go, own, range } from "./state";
import { condition, number, plain, short } from "./text";
import { moment, read, rfc3339 } from "./times";

const AROUND = 300_000_000;
const SEEN = ["start_time", "observer", "src_ip", "src_port", "dst_ip", "dst_port", "src_confidence", "dst_confidence", "bytes_out", "bytes_in"];
const SHOWN = 50;

export function OneFlow({ id }: { id: string }) {
  const [hour, flow_id] = id.split(" ") as [string, string];
  const told = useAnswer("/api/flow", { hour, flow_id });
  const box = useArrival<HTMLElement>();
  const close = () => {
    own.value = {};
  };
  // Before it is painted: whoever sees it may press Escape at once.
  useLayoutEffect(() => {
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
      {told.answer && <FlowWhole told={told.answer} id={flow_id} />}
    </aside>
  );
}

type Row = Record<string, unknown>;

function startOf(row: Row): number | null {
  return typeof row.start_time === "string" ? read(row.start_time) : null;
}

const PARTS: [string, (name: string) => boolean][] = [
  ["Source", (name) => name.startsWith("src_") || name === "outer_src_ip"],
  ["Destination", (name) => name.startsWith("dst_") || name === "outer_dst_ip"],
  ["As others saw it", (name) => name.includes("verdict") || name === "encrypted"],
];

/** The parts of a row: each column in the first that takes it, the rest behind. What policies say has its own. */
function parts(row: Row): [string, [string, unknown][]][] {
  const told = Object.entries(row).filter(([, value]) => value !== null && value !== "" && !(Array.isArray(value) && !value.length)).filter(([name]) => !name.startsWith("policy_"));
  const mine = (takes: (name: string) => boolean) => told.filter(([name]) => takes(name));
  const rest = told.filter(([name]) => !PARTS.some(([, takes]) => takes(name)));
  return [...PARTS.map(([title, takes]): [string, [string, unknown][]] => [title, mine(takes)]), ["The flow", rest]];
}

function FlowWhole({ told, id }: { told: Flow; id: string }) {
  const at = startOf(told.row);
  return (
    <>
      {(["src", "dst"] as const).map((side) => (
        <Told key={side} side={side} row={told.row} />
      ))}
      <p class="controls">
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
      <FlowPolicies told={told} />
      {parts(told.row).map(([title, entries]) => entries.length > 0 && <Part key={title} title={title} entries={entries} />)}
      <SeenElsewhere row={told.row} id={id} />
      <h3>The same again</h3>
      {told.commands.map((one) => (
        <Copy key={one} label="On the command line" text={one} />
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

/** An end in a sentence: its name, how sure, and why. */
function Told({ side, row }: { side: "src" | "dst"; row: Row }) {
  const of = (part: string) => row[`${side}_${part}`];
  const name = of("workload") || of("service") || of("pod") || of("node");
  return (
    <p>
      {side === "src" ? "from" : "to"} <strong>{short(name ? [of("namespace"), name].filter(Boolean).join("/") : of("ip"))}</strong>{" "}
      <Confidence word={String(of("confidence") ?? "unknown")} /> <span class="quiet">{plain(of("reason"))}</span>
    </p>
  );
}

function Part({ title, entries }: { title: string; entries: [string, unknown][] }) {
  return (
    <>
      <h3>{title}</h3>
      <dl class="row">
        {entries.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>
              <Value name={name} value={value} />
            </dd>
          </div>
        ))}
      </dl>
    </>
  );
}

function Value({ name, value }: { name: string; value: unknown }) {
  if (name.endsWith("_candidates") && Array.isArray(value)) return <Candidates list={value as Row[]} />;
  if (name === "observations" && Array.isArray(value)) return <Points list={value as Row[]} />;
  if (name.endsWith("_labels") && value && typeof value === "object")
    return (
      <>
        {Object.entries(value).map(([key, text]) => (
          <span class="chip" key={key} title={plain(`${key}=${String(text)}`)}>
            {short(`${key}=${String(text)}`)}
          </span>
        ))}
      </>
    );
  if (value && typeof value === "object") return <pre>{JSON.stringify(value, null, 1).split("\n").map(plain).join("\n")}</pre>;
  return name.endsWith("_confidence") ? <Confidence word={String(value)} /> : <>{plain(value)}</>;
}

/** All that may have held the address, each with its reason. */
function Candidates({ list }: { list: Row[] }) {
  return (
    <ul class="list">
      {list.map((one, row) => (
        <li key={row}>
          {plain(one.kind)} {plain([one.namespace, one.name].filter(Boolean).join("/"))}{" "}
          <span class="quiet">{plain([one.workload, one.reason].filter(Boolean).join(": "))}</span>
        </li>
      ))}
    </ul>
  );
}

/** Every point of the captures that saw these packets, the one that counts first. */
function Points({ list }: { list: Row[] }) {
  const at = (one: Row) => [one.direction, one.tunnels, one.vni != null && `VNI ${String(one.vni)}`, one.dst_ip != null && `to ${String(one.dst_ip)}`];
  return (
    <ul class="list">
      {list.map((one, row) => (
        <li key={row}>
          {short(one.observer, 40)} {plain(at(one).filter(Boolean).join(", "))}{" "}
          <span class="quiet">
            {plain(`${String(one.packets_out)} packets out, ${String(one.packets_in)} in`)}, {cell("bytes_out", one.bytes_out)}, {cell("bytes_in", one.bytes_in)}
          </span>
        </li>
      ))}
    </ul>
  );
}

/** The same conversation as others saw it: rows with its Community ID, five minutes before and after. */
function SeenElsewhere({ row, id }: { row: Row; id: string }) {
  const at = startOf(row);
  const key = typeof row.community_id === "string" ? row.community_id : "";
  const span = at === null ? null : { since: at - AROUND, until: at + AROUND };
  const asks = key && span ? { filter: condition("where", `community_id=${key}`), range: span, columns: SEEN, limit: SHOWN } : null;
  const told = useAnswer("/api/flows", asks);
  if (!key) return null;
  return (
    <>
      <h3>Seen by</h3>
      {told.waiting && <p class="quiet">asking …</p>}
      {told.error && <p class="wrong">{plain(told.error.message)}</p>}
      {told.answer && <Observations told={told.answer} id={id} />}
    </>
  );
}

function Observations({ told, id }: { told: Flows; id: string }) {
  const of = (name: string, row: number) => told.values[told.columns.indexOf(name)]?.[row];
  return (
    <table>
      <thead>
        <tr>
          <th>start</th>
          <th>observer</th>
          <th>ends</th>
          <th class="number">out, in</th>
        </tr>
      </thead>
      <tbody>
        {told.flow_id.map((one, row) => (
          <tr key={one} aria-selected={one === id}>
            <td>
              <button
                type="button"
                class="link"
                onClick={() => {
                  own.value = { flow: `${told.hour[row]} ${one}` };
                }}
              >
                {moment(of("start_time", row) as number | null, 3)}
              </button>
              {one === id && <span class="quiet"> this one</span>}
            </td>
            <td>{short(of("observer", row), 40)}</td>
            <td>
              {(["src", "dst"] as const).map((side) => (
                <div key={side}>
                  {plain(of(`${side}_ip`, row))} <Confidence word={String(of(`${side}_confidence`, row) ?? "unknown")} />
                </div>
              ))}
            </td>
            <td class="number">
              {cell("bytes_out", of("bytes_out", row))}, {cell("bytes_in", of("bytes_in", row))}
            </td>
          </tr>
        ))}
      </tbody>
      {told.cursor && (
        <tfoot>
          <tr>
            <td colSpan={4}>the first {number(told.flow_id.length)}</td>
          </tr>
        </tfoot>
      )}
    </table>
  );
}
