// Lanes: who held an address when, as surely as it is known; flows above them, events on them.

import { useRef } from "preact/hooks";
import type { Gap, Lane, LaneEvent, TimeRange, Who as Told } from "./api";
import { EventMark, EventTable, nameOf, type Place } from "./lane_events";
import { saveDrawing } from "./pictures";
import { timeScale } from "./scale";
import { go, narrow, own, shown } from "./state";
import { condition, number, plain, short } from "./text";
import { between, clock, moment, zone } from "./times";

const LANE = 26;
const LEFT = 260;
const WIDE = 900;
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

/** again: restarts, which come with the evidence. */
export function Lanes({ told, at, again }: { told: Told; at: number | null; again: LaneEvent[] }) {
  const drawing = useRef<SVGSVGElement>(null);
  if (!told.lanes.length) return <p class="quiet">Nobody of this name held an address here, as far as the history knows.</p>;
  const span = spanOf(told.lanes, shown.value, at);
  const x = timeScale(span, LEFT, WIDE - 10, true);
  const place = (us: number | null, open: number) => x(us ?? open);
  // A click on the picture asks for that moment; the form above does the same by keys.
  const judge = (event: MouseEvent) => {
    const box = drawing.current?.getBoundingClientRect();
    if (!box || !told.is_address) return;
    const along = ((event.clientX - box.left) * WIDE) / box.width;
    if (along >= LEFT) own.value = { what: told.what, at: String(Math.round(x.invert(along))) };
  };
  const high = told.lanes.length * LANE + 70;
  const days = span.until - span.since > 36 * 3_600_000_000;
  const events = [...told.events, ...again].sort((a, b) => a.time - b.time);
  return (
    <>
      <svg ref={drawing} class="lanes" onClick={judge} viewBox={`0 0 ${WIDE} ${high}`} role="img" aria-label={`${told.lanes.length} holders; the table below says the same`}>
        <defs>
          <pattern id="lane-gap" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
            <rect width="2" height="6" class="gap-line" />
          </pattern>
        </defs>
        <GapBands gaps={told.gaps} place={place} span={span} high={high - 44} />
        <text class="tick" x={4} y={26}>
          flows, by how they were named
        </text>
        <FlowMarks told={told} place={place} span={span} />
        {told.lanes.map((lane, row) => (
          <LaneBar key={`${lane.uid}${row}`} lane={lane} y={40 + row * LANE} place={place} span={span} events={events.filter((one) => one.lane === row)} several={!told.is_address} />
        ))}
        {at !== null && <line class="at" x1={place(at, at)} x2={place(at, at)} y1={0} y2={high - 24} />}
        {x.ticks(6).filter((tick) => x(tick) < WIDE - 24).map((tick) => (
          <text key={tick} class="tick" x={x(tick)} y={high - 8} text-anchor="middle">
            {span.until - span.since < 600_000_000 ? moment(tick).slice(11) : clock(tick, days)}
          </text>
        ))}
      </svg>
      <p class="quiet">
        solid: certain · pale: may have begun or ended there · hatched: nobody was looking · diamonds: image, labels or Services changed, square: a NetworkPolicy about it, ring: a restart {told.is_address && " · a click judges that moment"} · times in {plain(zone.value)}
        {told.left_out > 0 && ` · ${number(told.left_out)} more holders are not shown`}
      </p>
      <p class="controls">
        {(["svg", "png"] as const).map((form) => (
          <button key={form} type="button" onClick={() => drawing.current && saveDrawing(drawing.current, "who-was", form)}>
            {form.toUpperCase()}
          </button>
        ))}
      </p>
      <LaneTable told={told} />
      <EventTable told={told} events={events} />
    </>
  );
}

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

function LaneBar(told: { lane: Lane; y: number; place: Place; span: TimeRange; events: LaneEvent[]; several: boolean }) {
  const { lane, y, place, span } = told;
  const [a, b] = [place(lane.start_min, span.since), place(lane.start_max, span.since)];
  const [c, d] = [place(lane.end_min, span.until), place(lane.end_max, span.until)];
  // Where nobody knows by when it had begun, or until when it surely held, no part is certain.
  const sure = lane.start_max !== null && lane.end_min !== null && c > b;
  return (
    <g>
      <text class="lane-name" x={4} y={told.several ? y + 8 : y + 13}>
        {short(nameOf(lane), 38)}
        {told.several && (
          <tspan class="lane-address" x={4} dy={11}>
            {plain(lane.address)}
          </tspan>
        )}
        <title>{`${plain(lane.kind)} ${plain(nameOf(lane))} ${plain(lane.address)}`}</title>
      </text>
      <rect class="possible" x={a} width={Math.max(1, d - a)} y={y + 3} height={12} />
      {sure && <rect class="certain" x={b} width={Math.max(1, c - b)} y={y + 3} height={12} />}
      <title>{spell(lane)}</title>
      {told.events.map((one, row) => (
        <EventMark key={row} one={one} y={y + 9} place={place} />
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
    <table class="holders">
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

