// Who held this address at that moment?

import { useEffect, useState } from "preact/hooks";
import type { Evidence, Judged, SharedAddresses, Who as Told } from "./api";
import { useAnswer, type Asked } from "./ask";
import { nameOf } from "./lane_events";
import { Lanes, spanOf } from "./lanes";
import { Confidence, Copy, Pane, WhoLink } from "./parts";
import { filter, own, question, range, shown, status } from "./state";
import { number, plain, short } from "./text";
import { moment, read, rfc3339, zone } from "./times";

/** Flows beside lanes are shown by the second where the range is this short. */
const FINE = 7_200_000_000;

export function Who() {
  const what = own.value.what ?? "";
  const at = own.value.at ? Number(own.value.at) : null;
  const served = Boolean(status.value?.history);
  const told = useAnswer("/api/who", what && served ? { ...question.value, what, at } : null);
  // Lanes may fill but a moment of the range: their flows are then asked for in that moment.
  const span = told.answer?.lanes.length ? spanOf(told.answer.lanes, shown.value, at) : null;
  const wide = !range.value || range.value.until - range.value.since > FINE;
  const close = useAnswer("/api/who", what && span && wide && span.until - span.since <= FINE ? { filter: filter.value, range: span, what, at } : null);
  const [explain, setExplain] = useState(false);
  const about = { what, range: range.value, limit: 40 };
  const evidence = useAnswer("/api/evidence", what && served && (explain || status.value?.evidence) ? about : null);
  return (
    <div class="panes">
      <section class="pane wide">
        <header>
          <h2>Who was</h2>
          <Asking what={what} at={at} />
        </header>
        {status.value && !served && <p class="warn">No history is served: there are no lanes. Give whowas serve a --history.</p>}
        {!what && <p class="quiet">An address, namespace/pod, kind/namespace/name, node/name, or a label such as app=web.</p>}
      </section>
      {!what && <Shared />}
      {told.answer?.judged && <JudgedPane told={told.answer.judged} command={told.answer.command} />}
      {what && served && (
        <Pane title={plain(what)} asked={told} wide>
          {(answer) => <Lanes told={close.answer ? { ...answer, ...flowsOf(close.answer) } : answer} at={at} again={restartsOf(answer, evidence.answer)} />}
        </Pane>
      )}
      {what && told.answer && told.answer.lanes.length > 0 && <EvidencePane asked={evidence} shown={explain} show={setExplain} />}
    </div>
  );
}

function flowsOf(told: Told): Pick<Told, "bucket" | "flows_time" | "flows_confidence" | "flows_count" | "flows_bytes"> {
  const { bucket, flows_time, flows_confidence, flows_count, flows_bytes } = told;
  return { bucket, flows_time, flows_confidence, flows_count, flows_bytes };
}

/** Restarts count lanes as the answer does, as long as both are of the same question. */
function restartsOf(told: Told, evidence: Evidence | null): Evidence["restarts"] {
  return (evidence?.restarts ?? []).filter((one) => one.lane < told.lanes.length);
}

function Asking({ what, at }: { what: string; at: number | null }) {
  const [text, setText] = useState(what);
  const [when, setWhen] = useState(at === null ? "" : rfc3339(at));
  useEffect(() => setText(what), [what]);
  useEffect(() => setWhen(at === null ? "" : rfc3339(at)), [at]);
  const moment_ = when ? read(when) : null;
  const wrong = Boolean(when) && moment_ === null;
  return (
    <form
      class="controls"
      onSubmit={(event) => {
        event.preventDefault();
        if (wrong) return;
        own.value = { what: text.trim(), ...(moment_ === null ? {} : { at: String(moment_) }) };
      }}
    >
      <label>
        who held <input id="who" value={text} size={30} onInput={(event) => setText(event.currentTarget.value)} />
      </label>
      <label>
        at <input value={when} size={24} placeholder="2026-11-20T10:15:02Z" aria-invalid={wrong} onInput={(event) => setWhen(event.currentTarget.value)} />
      </label>
      <button type="submit" disabled={wrong}>
        Ask
      </button>
    </form>
  );
}

/** Where to begin: addresses that went from one pod to another. */
function Shared() {
  const told = useAnswer("/api/shared", { range: range.value, limit: 15 }, status.value?.ready ?? 0);
  return (
    <Pane title="Addresses that several pods held" asked={told} wide>
      {(answer) => <SharedTable told={answer} />}
    </Pane>
  );
}

function SharedTable({ told }: { told: SharedAddresses }) {
  if (!told.addresses.length) return <p class="quiet">In this range the flows of each address name one pod alone.</p>;
  return (
    <>
      <table>
        <thead>
          <tr>
            <th>address</th>
            <th class="number">pods</th>
            <th>as its flows were named</th>
            <th class="number">flows</th>
          </tr>
        </thead>
        <tbody>
          {told.addresses.map((one) => (
            <tr
              key={one.address}
              data-row
              tabIndex={0}
              onKeyDown={(event) => {
                if (event.key === "Enter" && event.target === event.currentTarget) own.value = { what: one.address };
              }}
            >
              <td class="whole">
                <WhoLink what={one.address} />
              </td>
              <td class="number">{number(one.holders)}</td>
              <td>
                {one.names.map(([word, name]) => (
                  <span class="chip" key={word + name} title={plain(name)}>
                    {short(name, 48)} <Confidence word={word} />
                  </span>
                ))}
              </td>
              <td class="number">{number(one.flows)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {told.left_out > 0 && <p class="quiet">{number(told.left_out)} more</p>}
    </>
  );
}

/** The evidence: what was said of the holders, when, and by whom. */
function EvidencePane(told: { asked: Asked<Evidence>; shown: boolean; show: (yes: boolean) => void }) {
  const { answer, error, waiting } = told.asked;
  return (
    <section class="pane wide" aria-busy={told.shown && waiting}>
      <header>
        <h2>Evidence</h2>
        <button type="button" aria-expanded={told.shown} onClick={() => told.show(!told.shown)}>
          {told.shown ? "hide" : "explain: show the evidence"}
        </button>
        {answer && <span class="quiet">{number(answer.lines.length + answer.left_out)} sights of the holders</span>}
      </header>
      {told.shown && error && <p class="wrong">{plain(error.message)}</p>}
      {told.shown && answer && <EvidenceTable told={answer} />}
    </section>
  );
}

function EvidenceTable({ told }: { told: Evidence }) {
  return (
    <>
      <table>
        <thead>
          <tr>
            <th>received</th>
            <th>of</th>
            <th>sight</th>
            <th>it says</th>
            <th>from</th>
          </tr>
        </thead>
        <tbody>
          {told.lines.map((one, row) => (
            <tr key={row}>
              <td class="moment">{one.time === null ? <span class="quiet">not told</span> : moment(one.time, 3)}</td>
              <td>{short(one.name)}</td>
              <td>{plain(one.verb.toLowerCase())}</td>
              <td>{plain(one.says)}</td>
              <td class="quiet">{short(one.source, 40)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {told.left_out > 0 && <p class="warn">{number(told.left_out)} more lines are not shown</p>}
      {told.unsaid > 0 && <p class="warn">the evidence of {number(told.unsaid)} more holders is not shown; shorten the range</p>}
      <Copy label="The same on the command line" text={told.command} />
    </>
  );
}

function JudgedPane({ told, command }: { told: Judged; command: string }) {
  return (
    <section class="pane wide">
      <header>
        <h2>
          At {moment(told.at, 6)} {plain(zone.value)}
        </h2>
        <Confidence word={told.confidence} />
      </header>
      <p>
        {told.holder ? <strong>{plain(nameOf(told.holder))}</strong> : "nobody is named"}: {plain(told.reason)}
        {told.network && ` (${plain(told.network)})`}
      </p>
      {told.candidates.length > 0 && (
        <ul class="list">
          {told.candidates.map((one, row) => (
            <li key={row}>
              {plain(nameOf(one))} <span class="quiet">{plain(told.candidate_reasons[row] ?? "")}</span>
            </li>
          ))}
        </ul>
      )}
      <Copy label="The same on the command line, with its evidence" text={command} />
    </section>
  );
}
