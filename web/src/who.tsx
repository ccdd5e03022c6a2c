// Who held this address at that moment?

import { scaleUtc } from "d3-scale";
import { useEffect, useState } from "preact/hooks";
import type { Gap, Judged, Lane, LaneEvent, TimeRange, Who as Told } from "./api";
import { useAnswer } from "./ask";
import { Confidence, Copy, Pane } from "./parts";
import { filter, go, narrow, own, question, range, shown, status } from "./state";
import { condition, number, plain, short } from "./text";
import { between, clock, moment, read, rfc3339, zone } from "./times";

const LANE = 26;
const LEFT = 260;
const WIDE = 900;

export function Who() {
  const what = own.value.what ?? "";
  const at = own.value.at ? Number(own.value.at) : null;
  const served = Boolean(status.value?.history);
  const told = useAnswer("/api/who", what && served ? { ...question.value, what, at } : null);
  // Lanes may fill but a moment of the range: their flows are then asked for in that moment.
  const span = told.answer?.lanes.length ? spanOf(told.answer.lanes, shown.value, at) : null;
  const close = useAnswer("/api/who", what && span && !range.value ? { filter: filter.value, range: span, what, at } : null);
  return (
    <div class="panes">
      <section class="pane wide">
        <header>
          <h2>Who was</h2>
          <Asking what={what} at={at} />
        </header>
        {status.value && !served && (
          <p class="warn">No history is served: there are no lanes. Give whowas serve a --history.</p>
        )}
        {!what && <p class="quiet">An address, namespace/pod, kind/namespace/name, node/name, or a label such as app=web.</p>}
      </section>
      {what && served && (
        <Pane title={plain(what)} asked={told} wide>
          {(answer) => <Lanes told={close.answer ? { ...answer, ...flowsOfAnswer(close.answer) } : answer} at={at} />}
        </Pane>
      )}
      {told.answer?.judged && <JudgedPane told={told.answer.judged} what={what} />}
    </div>
  );
}

function flowsOfAnswer(told: Told): Pick<Told, "bucket" | "flows_time" | "flows_confidence" | "flows_count" | "flows_bytes"> {
  const { bucket, flows_time, flows_confidence, flows_count, flows_bytes } = told;
  return { bucket, flows_time, flows_confidence, flows_count, flows_bytes };
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

/** The range of the picture: what is looked at; closer where all that happened fills but a small part of it. */
export function spanOf(lanes: Lane[], chosen: TimeRange | null, at: number | null): TimeRange {
  const known = lanes.flatMap((one) => [one.start_min, one.start_max, one.end_min, one.end_max]).filter((one): one is number => one !== null);
  if (at !== null) known.push(at);
  if (!known.length) return chosen ?? { since: 0, until: 1 };
  const [first, last] = [Math.min(...known), Math.max(...known)];
  const room = Math.max(1_000_000, (last - first) * 0.15);
  const close = { since: Math.floor(first - room), until: Math.ceil(last + room) };
  if (!chosen || first >= chosen.until || last <= chosen.since) return close;
  return close.until - close.since < (chosen.until - chosen.since) / 3 ? close : chosen;
}

function Lanes({ told, at }: { told: Told; at: number | null }) {
  if (!told.lanes.length) return <p class="quiet">Nobody of this name held an address here, as far as the history knows.</p>;
  const span = spanOf(told.lanes, shown.value, at);
  const x = scaleUtc([span.since / 1000, span.until / 1000], [LEFT, WIDE - 10]).clamp(true);
  const place = (us: number | null, open: number) => x((us ?? open) / 1000);
  const high = told.lanes.length * LANE + 70;
  const days = span.until - span.since > 36 * 3_600_000_000;
  return (
    <>
      <svg class="lanes" viewBox={`0 0 ${WIDE} ${high}`} role="img" aria-label={`${told.lanes.length} holders; the table below says the same`}>
        <defs>
          <pattern id="lane-gap" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
            <rect width="2" height="6" class="gap-line" />
          </pattern>
        </defs>
        <GapBands gaps={told.gaps} place={place} span={span} high={high - 44} />
        <FlowMarks told={told} place={place} span={span} />
        {told.lanes.map((lane, row) => (
          <LaneBar key={`${lane.uid}${row}`} lane={lane} y={40 + row * LANE} place={place} span={span} events={told.events.filter((one) => one.lane === row)} />
        ))}
        {at !== null && <line class="at" x1={place(at, at)} x2={place(at, at)} y1={0} y2={high - 24} />}
        {x.ticks(6).filter((tick) => x(tick) < WIDE - 24).map((tick) => (
          <text key={tick.getTime()} class="tick" x={x(tick)} y={high - 8} text-anchor="middle">
            {span.until - span.since < 600_000_000 ? moment(tick.getTime() * 1000).slice(11) : clock(tick.getTime() * 1000, days)}
          </text>
        ))}
      </svg>
      <p class="quiet">
        solid: certain · pale: may have begun or ended there · hatched: nobody was looking · marks above: flows by this end · times in {plain(zone.value)}
        {told.left_out > 0 && ` · ${number(told.left_out)} more holders are not shown`}
      </p>
      <LaneTable told={told} />
    </>
  );
}

type Place = (us: number | null, open: number) => number;

function GapBands({ gaps, place, span, high }: { gaps: Gap[]; place: Place; span: TimeRange; high: number }) {
  return (
    <>
      {gaps.map((gap, row) => {
        const [from, to] = [place(gap.since, span.since), place(gap.until, span.until)];
        return to > from ? (
          <rect key={row} x={from} y={30} width={to - from} height={high - 30} fill="url(#lane-gap)">
            <title>{`nobody was looking: ${plain(gap.why)}`}</title>
          </rect>
        ) : null;
      })}
    </>
  );
}

function FlowMarks({ told, place, span }: { told: Told; place: Place; span: TimeRange }) {
  const all = new Map<number, number>();
  told.flows_time.forEach((time, row) => all.set(time, (all.get(time) ?? 0) + (told.flows_count[row] ?? 0)));
  const most = Math.max(1, ...all.values());
  const tops = new Map<number, number>();
  return (
    <>
      {told.flows_time.map((time, row) => {
        if (time + told.bucket < span.since || time > span.until) return null;
        const word = told.flows_confidence[row] ?? "unknown";
        const count = told.flows_count[row] ?? 0;
        // A bucket is as high as the logarithm of its flows, and is shared among their words.
        const sum = all.get(time) ?? 1;
        const high = ((4 + (20 * Math.log1p(sum)) / Math.log1p(most)) * count) / sum;
        const top = (tops.get(time) ?? 28) - high;
        tops.set(time, top);
        return (
          <rect key={row} class={`bar bar-${word}`} x={place(time, time)} width={Math.max(3, place(time + told.bucket, time) - place(time, time) - 1)} y={top} height={high}>
            <title>{`${moment(time)}: ${number(count)} flows, ${word}`}</title>
          </rect>
        );
      })}
    </>
  );
}

function nameOf(lane: Lane): string {
  return lane.namespace ? `${lane.namespace}/${lane.name}` : lane.name;
}

function LaneBar(told: { lane: Lane; y: number; place: Place; span: TimeRange; events: LaneEvent[] }) {
  const { lane, y, place, span } = told;
  const [a, b] = [place(lane.start_min, span.since), place(lane.start_max, span.since)];
  const [c, d] = [place(lane.end_min, span.until), place(lane.end_max, span.until)];
  // Where nobody knows by when it had begun, or until when it surely held, no part is certain.
  const sure = lane.start_max !== null && lane.end_min !== null && c > b;
  return (
    <g>
      <text class="lane-name" x={4} y={y + 13}>
        {short(nameOf(lane), 38)}
        <title>{`${plain(lane.kind)} ${plain(nameOf(lane))} ${plain(lane.address)}`}</title>
      </text>
      <rect class="possible" x={a} width={Math.max(1, d - a)} y={y + 3} height={12} />
      {sure && <rect class="certain" x={b} width={Math.max(1, c - b)} y={y + 3} height={12} />}
      <title>{spell(lane)}</title>
      {told.events.map((one, row) => (
        <path key={row} class="event" transform={`translate(${place(one.time, one.time)},${y + 9})`} d="M0 -6 L5 0 L0 6 L-5 0 Z">
          <title>{`${moment(one.time)} ${one.what}: ${plain(one.before)} → ${plain(one.after)}`}</title>
        </path>
      ))}
    </g>
  );
}

function bounds(low: number | null, high: number | null, none: string): string {
  if (low === null && high === null) return none;
  if (low === null || high === null || high - low <= 1000) return moment(high ?? low, 3);
  return between(low, high, 3);
}

function spell(lane: Lane): string {
  return `from ${bounds(lane.start_min, lane.start_max, "before what is known")} to ${bounds(lane.end_min, lane.end_max, "still holding")}`;
}

function LaneTable({ told }: { told: Told }) {
  return (
    <table>
      <thead>
        <tr>
          <th>holder</th>
          <th>kind</th>
          <th>address</th>
          <th>node</th>
          <th>began</th>
          <th>ended</th>
          <th>labels, images</th>
        </tr>
      </thead>
      <tbody>
        {told.lanes.map((lane, row) => (
          <tr
            key={row}
            data-row
            tabIndex={0}
            onKeyDown={(event) => {
              if (event.key === "Enter" && event.target === event.currentTarget) flowsOf(lane);
            }}
          >
            <td>
              {short(nameOf(lane))} {lane.conflict && <span class="warn">the evidence contradicts itself</span>}
              <br />
              <span class="quiet">{plain([lane.workload_kind, lane.workload].filter(Boolean).join(" "))}</span>
            </td>
            <td>{plain(lane.kind)}</td>
            <td class="whole">
              <button type="button" class="link" onClick={() => go("who", { what: lane.address })}>
                {plain(lane.address)}
              </button>
            </td>
            <td>
              {plain(lane.node)} {plain(lane.zone)}
            </td>
            <td>{bounds(lane.start_min, lane.start_max, "before what is known")}</td>
            <td>{bounds(lane.end_min, lane.end_max, "still holding")}</td>
            <td>
              {Object.entries(lane.labels).map(([key, value]) => (
                <span class="chip" key={key} title={plain(`${key}=${value}`)}>
                  {short(`${key}=${value}`, 36)}
                </span>
              ))}
              {lane.images.map((one) => (
                <span class="quiet" key={one}>
                  {" "}
                  {short(one, 48)}
                </span>
              ))}{" "}
              <button type="button" class="link" onClick={() => flowsOf(lane)}>
                flows
              </button>
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function flowsOf(lane: Lane): void {
  narrow(condition("end", lane.kind === "pod" ? nameOf(lane) : lane.address));
  go("flows");
}

function JudgedPane({ told, what }: { told: Judged; what: string }) {
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
      <Copy label="The same on the command line, with its evidence" text={`whowas who ${what} --at ${rfc3339(told.at)} --history HISTORY --explain`} />
    </section>
  );
}
