// Flows over time, stacked by how sure the weaker end is. A drag or the keys choose a range.

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { Gap, Histogram, TimeRange } from "./api";
import { timeScale } from "./scale";
import { number, plain, size } from "./text";
import { clock, moment } from "./times";

const HEIGHT = 150;
const BELOW = 22;

interface Bar {
  time: number;
  word: string;
  from: number;
  to: number;
}

/** The bars of one word as one outline: an element for each bar is what a browser is slow at. */
function outlines(bars: Bar[], x: (us: number) => number, y: (count: number) => number, wide: number): [string, string][] {
  const found = new Map<string, string[]>();
  for (const { time, word, from, to } of bars) {
    const [left, top, low] = [x(time).toFixed(2), y(to).toFixed(2), y(from).toFixed(2)];
    const kept = found.get(word) ?? [];
    if (!kept.length) found.set(word, kept);
    kept.push(`M${left} ${top}h${wide.toFixed(2)}V${low}H${left}z`);
  }
  return [...found].map(([word, parts]) => [word, parts.join("")]);
}

const SECOND = 1_000_000;
const STEPS = [1, 2, 5, 10, 15, 30].map((one) => one * SECOND);
const MINUTES = 60 * SECOND;

/** The bucket to ask for: seconds in a short range; else the server chooses. */
export function bucketOf(span: TimeRange | null): number | null {
  const wide = span ? span.until - span.since : Infinity;
  return wide <= 30 * MINUTES ? (STEPS.find((one) => wide / one <= 120) ?? null) : null;
}

/** Stack the rows of a bucket, in the order in which the server tells its words. */
export function stacked(told: Histogram, values: number[]): { bars: Bar[]; most: number } {
  const tops = new Map<number, number>();
  const bars = told.time.map((time, row) => {
    const from = tops.get(time) ?? 0;
    const to = from + (values[row] ?? 0);
    tops.set(time, to);
    return { time, word: told.confidence[row] ?? "unknown", from, to };
  });
  return { bars, most: Math.max(1, ...tops.values()) };
}

function useWidth(): [(node: HTMLDivElement | null) => void, number] {
  const [width, setWidth] = useState(600);
  const [node, setNode] = useState<HTMLDivElement | null>(null);
  useEffect(() => {
    if (!node) return undefined;
    const watch = new ResizeObserver(() => setWidth(Math.max(200, node.clientWidth)));
    watch.observe(node);
    setWidth(Math.max(200, node.clientWidth));
    return () => watch.disconnect();
  }, [node]);
  return [setNode, width];
}

export function TimeChart(told: {
  histogram: Histogram;
  shown: TimeRange;
  bytes: boolean;
  gaps: Gap[];
  high?: number;
  choose: (range: TimeRange) => void;
}) {
  const { histogram, shown, gaps } = told;
  const high = told.high ?? HEIGHT;
  const [hold, width] = useWidth();
  const [drag, setDrag] = useState<[number, number] | null>(null);
  const box = useRef<SVGSVGElement>(null);
  const tip = useRef<HTMLTitleElement>(null);
  const values = told.bytes ? histogram.bytes : histogram.flows;
  const { bars, most } = useMemo(() => stacked(histogram, values), [histogram, told.bytes]);
  const x = timeScale(shown, 0, width);
  const at = (event: PointerEvent) => {
    const left = box.current?.getBoundingClientRect().left ?? 0;
    return Math.max(0, Math.min(width, event.clientX - left));
  };
  const finish = () => {
    if (drag && Math.abs(drag[1] - drag[0]) > 3) {
      const [since, until] = drag.map(x.invert).sort((a, b) => a - b) as [number, number];
      // Whole bars: roll-ups answer them at once; for a part of one its flows would have to be read.
      const { bucket } = histogram;
      told.choose({ since: Math.floor(since / bucket) * bucket, until: Math.ceil(until / bucket) * bucket });
    }
    setDrag(null);
  };
  // What the bars under the pointer stand for.
  const tell = (event: PointerEvent) => {
    const { bucket } = histogram;
    const time = Math.floor(x.invert(at(event)) / bucket) * bucket;
    const lines = bars.filter((bar) => bar.time === time).map((bar) => `${bar.word}: ${told.bytes ? size(bar.to - bar.from) : number(bar.to - bar.from)}`);
    if (tip.current) tip.current.textContent = lines.length ? [moment(time), ...lines].join("\n") : "";
  };
  const drawn = useMemo(() => {
    const wide = Math.max(1, x(shown.since + histogram.bucket) - 1);
    const paths = outlines(bars, x, (count) => high - BELOW - ((high - BELOW - 4) * count) / most, wide);
    return paths.map(([word, path]) => <path key={word} class={`bar bar-${word}`} d={path} />);
  }, [bars, most, shown.since, shown.until, width, high]);
  const days = shown.until - shown.since > 36 * 3_600_000_000;
  const total = values.reduce((sum, one) => sum + one, 0);
  return (
    <div ref={hold} class="chart">
      <svg
        ref={box}
        width={width}
        height={high}
        role="img"
        aria-label={`${told.bytes ? size(total) : `${number(total)} flows`} from ${moment(shown.since)} to ${moment(shown.until)}`}
        onPointerDown={(event) => {
          (event.currentTarget as Element).setPointerCapture(event.pointerId);
          setDrag([at(event), at(event)]);
        }}
        onPointerMove={(event) => (drag ? setDrag([drag[0], at(event)]) : tell(event))}
        onPointerUp={finish}
        onPointerCancel={() => setDrag(null)}
      >
        <title ref={tip} />
        <defs>
          <pattern id="gap" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
            <rect width="2" height="6" class="gap-line" />
          </pattern>
        </defs>
        {gaps.map((gap, place_) => {
          const [from, to] = [x(Math.max(gap.since ?? shown.since, shown.since)), x(Math.min(gap.until ?? shown.until, shown.until))];
          return to > from ? (
            <rect key={place_} x={from} y={0} width={to - from} height={high - BELOW} fill="url(#gap)">
              <title>{`nobody was looking: ${plain(gap.why)}`}</title>
            </rect>
          ) : null;
        })}
        {drawn}
        <line class="axis" x1={0} x2={width} y1={high - BELOW} y2={high - BELOW} />
        {x.ticks(Math.max(2, Math.floor(width / 110))).filter((tick) => x(tick) > 16 && x(tick) < width - 18).map((tick) => (
          <g key={tick} transform={`translate(${x(tick)},${high - BELOW})`}>
            <line class="axis" y2={5} />
            <text class="tick" y={17} text-anchor="middle">
              {shown.until - shown.since < 10 * MINUTES ? moment(tick).slice(11) : clock(tick, days)}
            </text>
          </g>
        ))}
        <text class="tick" x={2} y={12}>
          {told.bytes ? size(most) : number(most)}
        </text>
        {drag && <rect class="brush" x={Math.min(...drag)} y={0} width={Math.abs(drag[1] - drag[0])} height={high - BELOW} />}
      </svg>
    </div>
  );
}
