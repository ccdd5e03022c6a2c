// What happened in a lane: marks on the picture, and a table that says the same.

import type { Lane, LaneEvent, Who as Told } from "./api";
import { number, short } from "./text";
import { between } from "./times";

const SHOWN = 200;
const TOLD = 1000;
const DIAMOND = "M0 -6 L5 0 L0 6 L-5 0 Z";
const SQUARE = "M-5 -5 H5 V5 H-5 Z";
const WORDS: Record<LaneEvent["what"], string> = {
  started: "began to hold",
  ended: "ceased to hold",
  images: "image changed",
  labels: "labels changed",
  services: "Services changed",
  restarted: "a container started again",
  policy_created: "a NetworkPolicy about it was created",
  policy_changed: "a NetworkPolicy about it was changed",
  policy_deleted: "a NetworkPolicy about it was deleted",
};

export type Place = (us: number | null, open: number) => number;

export function nameOf(lane: Lane): string {
  return lane.namespace ? `${lane.namespace}/${lane.name}` : lane.name;
}

/** A change is a diamond, of a policy a square, where it was told; a line leads to it from when it may have been so. Begin and end are the lane. */
export function EventMark({ one, y, place }: { one: LaneEvent; y: number; place: Place }) {
  if (one.what === "started" || one.what === "ended") return null;
  const [from, to] = [place(one.time, one.time), place(one.until, one.until)];
  const title = <title>{`${between(one.time, one.until, 3)} ${WORDS[one.what]}: ${short(one.before, TOLD)} → ${short(one.after, TOLD)}`}</title>;
  if (one.what === "restarted")
    return (
      <circle class="restart" cx={from} cy={y} r={5}>
        {title}
      </circle>
    );
  return (
    <g>
      {to - from > 1 && <line class="event-line" x1={from} x2={to} y1={y} y2={y} />}
      <path class="event" transform={`translate(${to},${y})`} d={one.what.startsWith("policy_") ? SQUARE : DIAMOND}>
        {title}
      </path>
    </g>
  );
}

/** What happened, in order: the same as in the picture, to read. */
export function EventTable({ told, events }: { told: Told; events: LaneEvent[] }) {
  if (!events.length) return null;
  return (
    <>
      <h3>What happened</h3>
      <table class="events">
        <thead>
          <tr>
            <th>when</th>
            <th>holder</th>
            <th>what</th>
            <th>from</th>
            <th>to</th>
          </tr>
        </thead>
        <tbody>
          {events.slice(0, SHOWN).map((one, row) => (
            <tr key={row}>
              <td class="moment">{between(one.time, one.until, 3)}</td>
              <td>{short(told.lanes[one.lane] ? nameOf(told.lanes[one.lane] as Lane) : "")}</td>
              <td>{WORDS[one.what]}</td>
              <td title={short(one.before, TOLD)}>{short(one.before, 120)}</td>
              <td title={short(one.after, TOLD)}>{short(one.after, 120)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {events.length > SHOWN && <p class="quiet">{number(events.length - SHOWN)} more</p>}
    </>
  );
}
