// Show me these flows: facets, when they were, a table that scrolls, one row whole.

import { useState } from "preact/hooks";
import type { Facet, Facets } from "./api";
import { useAnswer } from "./ask";
import { Grid } from "./grid";
import { bucketOf, TimeChart } from "./histogram";
import { OneFlow } from "./one_flow";
import { ENDS, usePages } from "./pages";
import { Confidence, Pane } from "./parts";
import { measure, narrow, own, question, range, shown, status } from "./state";
import { condition, number, plain, short } from "./text";
import { moment } from "./times";

const USUAL = ["start_time", "src", "dst", "protocol", "bytes_out", "bytes_in"];
const FACETS = ["src_namespace", "src_workload", "src_confidence", "dst_namespace", "dst_workload", "dst_confidence", "dst_port", "protocol"];
const KEPT = "whowas-columns";

function chosenColumns(): string[] {
  try {
    const kept = JSON.parse(localStorage.getItem(KEPT) ?? "null") as unknown;
    if (Array.isArray(kept) && kept.every((one) => typeof one === "string") && kept.length) return kept;
  } catch {
    // What cannot be read is not kept.
  }
  return USUAL;
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
            {number(pages.count)}
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
        <Strip />
        <Grid pages={pages} columns={columns} more={more} />
        <p>
          <button type="button" disabled={pages.waiting || !pages.cursor} onClick={more}>
            More
          </button>{" "}
          {!pages.waiting && !pages.count && !pages.error && <span class="quiet">No flow matches.</span>}
        </p>
      </section>
      {open && <OneFlow id={open} />}
    </div>
  );
}

/** When these flows were. A drag narrows the time; the table begins anew there. */
function Strip() {
  const told = useAnswer("/api/histogram", { ...question.value, bucket: bucketOf(shown.value) }, status.value?.ready ?? 0);
  if (told.error) return <p class="wrong">{plain(told.error.message)}</p>;
  if (!told.answer || !shown.value) return <div class="strip" aria-busy={told.waiting} />;
  return (
    <div class="strip" aria-busy={told.waiting}>
      <TimeChart
        histogram={told.answer}
        shown={shown.value}
        bytes={measure.value === "bytes"}
        gaps={[]}
        high={64}
        choose={(chosen) => {
          range.value = chosen;
        }}
      />
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

