// One finding whole: what, when, its flows, what to do next, and what people wrote about it.

import { useState } from "preact/hooks";
import type { Finding, Flows } from "./api";
import { ask, Refused, useAnswer } from "./ask";
import { ReportButton } from "./export";
import { Confidence, Copy, useArrival, WhoLink } from "./parts";
import { filter, go, own, range, status } from "./state";
import { number, plain, short } from "./text";
import { between, moment } from "./times";

/** A filter has at most 64 words. */
const MOST_IDS = 60;
const SHOWN = 12;
const AROUND = 900_000_000;
const ENDS = ["ip", "port", "confidence", "namespace", "workload", "service", "node"];
const FLOW = ["start_time", ...ENDS.map((one) => `src_${one}`), ...ENDS.map((one) => `dst_${one}`)];
export const STATES = ["open", "closed", "false_positive"] as const;
export type State = (typeof STATES)[number];
export const STATE_WORDS: Record<State, string> = { open: "open", closed: "closed", false_positive: "false positive" };

export function One({ uid, changed }: { uid: string; changed: () => void }) {
  const [again, setAgain] = useState(0);
  const told = useAnswer("/api/finding", { uid }, again);
  const box = useArrival<HTMLElement>();
  return (
    <section ref={box} tabIndex={-1} class="pane" aria-label="One finding" aria-busy={told.waiting}>
      <header>
        <h2>{told.answer ? short(told.answer.row.title) : "Finding"}</h2>
        <button
          type="button"
          onClick={() => {
            own.value = {};
          }}
        >
          Close
        </button>
      </header>
      {told.error && <p class="wrong">{plain(told.error.message)}</p>}
      {told.answer && (
        <>
          <Whole told={told.answer} />
          <Notes
            told={told.answer}
            changed={() => {
              setAgain(again + 1);
              changed();
            }}
          />
        </>
      )}
    </section>
  );
}

function Whole({ told }: { told: Finding }) {
  const { row } = told;
  return (
    <>
      <p>{plain(row.message)}</p>
      <p class="quiet">
        {plain(row.rule)} · {between(row.first, row.last)} · {number(row.flows)} flows
      </p>
      {told.attack.length > 0 && <p>ATT&amp;CK: {plain(told.attack.join(", "))}</p>}
      <p>
        <ReportButton finding={row.uid} />
      </p>
      <ItsFlows told={told} />
      {told.false_positives.length > 0 && (
        <>
          <h3>When it is nothing</h3>
          <ul class="list">
            {told.false_positives.map((one) => (
              <li key={one}>{plain(one)}</li>
            ))}
          </ul>
        </>
      )}
      {told.commands.length > 0 && <h3>What to do next</h3>}
      {told.commands.map((one) => (
        <Copy key={one} label="To copy; nothing is run here" text={one} />
      ))}
      <details>
        <summary>As OCSF</summary>
        <Copy label="JSON" text={JSON.stringify(told.ocsf, null, 1)} />
      </details>
    </>
  );
}

/** Its flows as they were named, when they were, and who held their addresses then. */
function ItsFlows({ told }: { told: Finding }) {
  const ids = told.flow_ids.filter((one) => /^[0-9a-f]{32}$/.test(one)).slice(0, MOST_IDS);
  const span = { since: told.row.first - AROUND, until: told.row.last + AROUND };
  const words = ids.map((one) => `where=flow_id=${one}`).join(" ");
  const flows = useAnswer("/api/flows", ids.length ? { filter: words, range: span, columns: FLOW, oldest_first: true, limit: MOST_IDS } : null);
  const look = (around: number) => {
    range.value = { since: told.row.first - around, until: told.row.last + around };
  };
  return (
    <>
      <h3>Its flows</h3>
      {flows.error && <p class="wrong">{plain(flows.error.message)}</p>}
      {flows.answer && flows.answer.flow_id.length > 0 && <FlowList told={flows.answer} />}
      {!flows.waiting && !flows.answer?.flow_id.length && <p class="quiet">The folder that is served has none of them.</p>}
      <p class="controls">
        <button
          type="button"
          disabled={!ids.length}
          onClick={() => {
            filter.value = words;
            look(1_000_000);
            go("flows");
          }}
        >
          these flows
        </button>
        <button
          type="button"
          onClick={() => {
            look(60_000_000);
            go("flows");
          }}
        >
          all flows, a minute around
        </button>
        <button
          type="button"
          onClick={() => {
            look(AROUND);
            go("map");
          }}
        >
          map, 15 minutes around
        </button>
      </p>
    </>
  );
}

function FlowList({ told }: { told: Flows }) {
  const of = (name: string, row: number) => told.values[told.columns.indexOf(name)]?.[row];
  const times = told.flow_id.map((_, row) => of("start_time", row)).filter((one): one is number => typeof one === "number");
  const [first, last] = [times[0] ?? 0, times.at(-1) ?? 0];
  const x = (us: number) => (last > first ? 4 + (592 * (us - first)) / (last - first) : 300);
  return (
    <>
      <svg class="moments" viewBox="0 0 600 26" role="img" aria-label={`${told.flow_id.length} flows from ${moment(first)} to ${moment(last)}`}>
        <line class="axis" x1={4} x2={596} y1={20} y2={20} />
        {told.flow_id.map((one, row) => (
          <line key={one} class={`moment-of moment-${of("src_confidence", row)}`} x1={x(Number(of("start_time", row)))} x2={x(Number(of("start_time", row)))} y1={4} y2={20}>
            <title>{moment(Number(of("start_time", row)), 3)}</title>
          </line>
        ))}
      </svg>
      <table>
        <thead>
          <tr>
            <th>start</th>
            <th>from</th>
            <th>to</th>
          </tr>
        </thead>
        <tbody>
          {told.flow_id.slice(0, SHOWN).map((one, row) => (
            <tr key={one}>
              <td class="moment">
                <button type="button" class="link" onClick={() => go("flows", { flow: `${told.hour[row]} ${one}` })}>
                  {moment(of("start_time", row) as number | null, 3)}
                </button>
              </td>
              {(["src", "dst"] as const).map((side) => (
                <td key={side}>
                  <End of={(part) => of(`${side}_${part}`, row)} at={of("start_time", row) as number | null} />
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
      {told.flow_id.length > SHOWN && <p class="quiet">{told.flow_id.length - SHOWN} more</p>}
    </>
  );
}

function End({ of, at }: { of: (part: string) => unknown; at: number | null }) {
  const name = of("workload") || of("service") || of("node");
  const port = of("port");
  return (
    <>
      {Boolean(name) && <strong>{short([of("namespace"), name].filter(Boolean).join("/"))} </strong>}
      <Confidence word={String(of("confidence") ?? "unknown")} />
      <br />
      <WhoLink what={String(of("ip") ?? "")} at={at} />
      {port !== null && port !== undefined && ` port ${String(port)}`}
    </>
  );
}

function Notes({ told, changed }: { told: Finding; changed: () => void }) {
  const [state, setState] = useState<State>(told.row.state);
  const [text, setText] = useState("");
  const [author, setAuthor] = useState(localStorage.getItem("whowas-author") ?? "");
  const [wrong, setWrong] = useState("");
  const save = () => {
    localStorage.setItem("whowas-author", author);
    ask("/api/note", { uid: told.row.uid, revision: told.row.revision, state, text, author }).then(
      () => {
        setText("");
        setWrong("");
        changed();
      },
      (error: Error) => {
        const late = error instanceof Refused && error.status === 409;
        setWrong(late ? "Somebody wrote in between: read what is there now, and save again. Your text is still here." : error.message);
        if (late) changed();
      },
    );
  };
  return (
    <>
      <h3>Notes</h3>
      <ul class="list">
        {told.notes.map((one) => (
          <li key={one.revision}>
            <span class="quiet">
              {moment(one.time)} {plain(one.author || "somebody")}
            </span>{" "}
            {STATE_WORDS[one.state]}: {plain(one.text)}
          </li>
        ))}
      </ul>
      <form
        class="note"
        onSubmit={(event) => {
          event.preventDefault();
          save();
        }}
      >
        <label>
          state{" "}
          <select value={state} onChange={(event) => setState(event.currentTarget.value as State)}>
            {STATES.map((one) => (
              <option key={one} value={one}>
                {STATE_WORDS[one]}
              </option>
            ))}
          </select>
        </label>
        <label>
          your name <input value={author} size={14} onInput={(event) => setAuthor(event.currentTarget.value)} />
        </label>
        <label>
          note <textarea value={text} rows={3} maxLength={10_000} onInput={(event) => setText(event.currentTarget.value)} />
        </label>
        <button type="submit" disabled={!status.value?.notes}>
          Save
        </button>
        {wrong && (
          <p class="wrong" role="alert">
            {plain(wrong)}
          </p>
        )}
      </form>
    </>
  );
}
