// A scale of time: where a moment stands in a picture, which moment stands at a place, where to write the time.

import { utcTicks } from "d3-time";
import type { TimeRange } from "./api";

export interface TimeScale {
  /** where a moment (us) stands */
  (us: number): number;
  /** the moment at a place, us */
  invert(place: number): number;
  /** some round moments of the range, us */
  ticks(count: number): number[];
}

/** inside: what is beyond the range stands at its end. */
export function timeScale(span: TimeRange, from: number, to: number, inside = false): TimeScale {
  const long = span.until - span.since || 1;
  const kept = (part: number) => (inside ? Math.max(0, Math.min(1, part)) : part);
  const place = (us: number) => from + (to - from) * kept((us - span.since) / long);
  return Object.assign(place, {
    invert: (at: number) => span.since + kept((at - from) / (to - from)) * long,
    ticks: (count: number) => utcTicks(new Date(span.since / 1000), new Date(span.until / 1000), count).map((one) => one.getTime() * 1000),
  });
}
