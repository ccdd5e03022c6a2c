// The table of flows: only the rows that are seen are there, however many have been fetched.

import { elementScroll, observeElementOffset, observeElementRect, Virtualizer } from "@tanstack/virtual-core";
import { useEffect, useLayoutEffect, useReducer, useRef, useState } from "preact/hooks";
import { Confidence } from "./parts";
import { ENDS, rowAt, type Pages } from "./pages";
import { own } from "./state";
import { number, plain, short, size } from "./text";
import { moment } from "./times";

const ROW = 26;
/** An end has two lines: its name, and its address, which may be a long one of IPv6. */
const TALL = 36;
/** Browsers draw no element that is higher than some 17 million pixels. Above this a pixel of scrolling is more of the table. */
const HIGHEST = 12_000_000;

/** One cell for people. */
export function cell(name: string, value: unknown) {
  if (value === null || value === undefined || value === "") return "";
  if (name.endsWith("_confidence") && typeof value === "string") return <Confidence word={value} />;
  if (name.endsWith("_time") && typeof value === "number") return moment(value, 3);
  if (name.startsWith("bytes_") && typeof value === "number") return size(value);
  if (typeof value === "number") return name.endsWith("_port") || name === "vlan" || name === "vni" ? String(value) : number(value);
  return <span title={plain(value)}>{short(value, 40)}</span>;
}

function useVirtual(count: number, high: number, box: { current: HTMLDivElement | null }) {
  const [, again] = useReducer((one: number) => one + 1, 0);
  const scale = useRef(1);
  const seen = useRef(0);
  const shown = box.current?.clientHeight ?? 0;
  const total = count * high;
  scale.current = total > HIGHEST ? (total - shown) / (HIGHEST - shown) : 1;
  const options = {
    count,
    getScrollElement: () => box.current,
    estimateSize: () => high,
    overscan: 12,
    observeElementRect,
    observeElementOffset: (instance: Virtualizer<HTMLDivElement, HTMLDivElement>, told: (offset: number, moving: boolean) => void) =>
      observeElementOffset(instance, (offset, moving) => {
        seen.current = offset * scale.current;
        told(seen.current, moving);
      }),
    scrollToFn: elementScroll,
    onChange: () => again(0),
  };
  const [virtual] = useState(() => new Virtualizer<HTMLDivElement, HTMLDivElement>(options));
  virtual.setOptions(options);
  useEffect(() => virtual._didMount(), []);
  useEffect(() => virtual.measure(), [high]);
  useEffect(() => virtual._willUpdate());
  // Where more rows make a pixel more of the table, the rows that are seen stay where they are.
  useLayoutEffect(() => {
    if (box.current && scale.current !== 1) box.current.scrollTop = seen.current / scale.current;
  }, [scale.current]);
  const top = box.current?.scrollTop ?? 0;
  return { items: virtual.getVirtualItems(), height: Math.min(total, HIGHEST), moved: top - top * scale.current };
}

/** Styles are set by script: a style attribute in markup is refused by the page's policy. */
function place(node: HTMLDivElement | null, what: "height" | "transform", value: string): void {
  if (node) node.style[what] = value;
}

/** One end: how sure, its name, its address. */
function End({ side, row }: { side: string; row: Record<string, unknown> }) {
  const of = (part: string) => row[`${side}_${part}`];
  const name = of("workload") || of("service") || of("pod") || of("node");
  const whole = name ? (of("namespace") ? `${of("namespace")}/${name}` : String(name)) : "";
  const ip = String(of("ip") ?? "");
  const address = of("port") === null || of("port") === undefined ? ip : `${ip.includes(":") ? `[${ip}]` : ip}:${of("port")}`;
  return (
    <>
      <span class="end-name">
        {typeof of("confidence") === "string" && <Confidence word={of("confidence") as string} />} {whole && <strong title={plain(whole)}>{short(whole, 34)}</strong>}
      </span>{" "}
      <span class="end-address" title={plain(address)}>
        {plain(address)}
      </span>
    </>
  );
}

/** A million rows scroll: the next page is asked for before its place is seen. */
export function Grid({ pages, columns, more }: { pages: Pages; columns: string[]; more: () => void }) {
  const box = useRef<HTMLDivElement>(null);
  const high = columns.some((one) => ENDS.includes(one)) ? TALL : ROW;
  const virtual = useVirtual(pages.count, high, box);
  const last = virtual.items.at(-1)?.index ?? 0;
  useEffect(() => {
    if (pages.count && last >= pages.count - 60) more();
  }, [last, pages.count]);
  const open = (row: number) => {
    const { hour, id } = rowAt(pages, row);
    own.value = { flow: `${hour} ${id}` };
  };
  return (
    <div ref={box} class="grid" role="grid" aria-rowcount={pages.cursor ? -1 : pages.count} aria-label="Flows" tabIndex={0}>
      <div class="grid-row head" role="row">
        {columns.map((name) => (
          <span key={name} role="columnheader" class={`cell cell-${name.split("_").at(-1)}`} title={name}>
            {name}
          </span>
        ))}
      </div>
      <div class="grid-body" role="presentation" ref={(node) => place(node, "height", `${virtual.height}px`)}>
        {virtual.items.map((one) => {
          const { cells } = rowAt(pages, one.index);
          return (
            <div
              key={one.key}
              class={high === TALL ? "grid-row tall" : "grid-row"}
              role="row"
              data-row
              tabIndex={-1}
              aria-rowindex={one.index + 2}
              ref={(node) => place(node, "transform", `translateY(${one.start + virtual.moved}px)`)}
              onClick={() => open(one.index)}
              onKeyDown={(event) => event.key === "Enter" && open(one.index)}
            >
              {columns.map((name) => (
                <span key={name} role="gridcell" class={`cell cell-${name.split("_").at(-1)}`}>
                  {ENDS.includes(name) ? <End side={name} row={cells} /> : cell(name, cells[name])}
                </span>
              ))}
            </div>
          );
        })}
      </div>
    </div>
  );
}
