// What is looked at: one filter and one range for all screens, in the URL, so that a view can be sent to a colleague.

import { computed, effect, signal } from "@preact/signals";
import type { Question, Status, TimeRange } from "./api";
import { read, rfc3339, zone } from "./times";

export type Measure = "flows" | "bytes" | "packets";
export const SCREENS = ["overview", "map", "who", "flows", "findings"] as const;
export type Screen = (typeof SCREENS)[number];

export const screen = signal<Screen>("overview");
export const filter = signal("");
export const range = signal<TimeRange | null>(null);
export const measure = signal<Measure>("flows");
/** What a screen keeps of its own: the address of Who was, the grouping of the map, the finding that is open. */
export const own = signal<Record<string, string>>({});
export const status = signal<Status | null>(null);
export const theme = signal<"auto" | "dark" | "light">("auto");

export const question = computed<Question>(() => ({ filter: filter.value, range: range.value }));

/** The range that is looked at: the chosen one, or all there is. */
export const shown = computed<TimeRange | null>(() => {
  if (range.value) return range.value;
  const told = status.value;
  return told?.since != null && told.until != null ? { since: told.since, until: told.until } : null;
});

const WORDS = new Set(["view", "filter", "since", "until", "by", "zone"]);

function fromUrl(): void {
  const told = new URLSearchParams(location.search);
  const view = told.get("view") as Screen;
  screen.value = SCREENS.includes(view) ? view : "overview";
  filter.value = told.get("filter") ?? "";
  const since = read(told.get("since") ?? "");
  const until = read(told.get("until") ?? "");
  range.value = since !== null && until !== null && since < until ? { since, until } : null;
  const by = told.get("by");
  measure.value = by === "bytes" || by === "packets" ? by : "flows";
  const where = told.get("zone");
  if (where && known(where)) zone.value = where;
  own.value = Object.fromEntries([...told].filter(([name]) => !WORDS.has(name)));
}

/** Whether the browser knows a zone. */
export function known(name: string): boolean {
  try {
    return Boolean(new Intl.DateTimeFormat("en", { timeZone: name }));
  } catch {
    return false;
  }
}

function url(): string {
  const told = new URLSearchParams();
  told.set("view", screen.value);
  if (filter.value) told.set("filter", filter.value);
  if (range.value) {
    told.set("since", rfc3339(range.value.since));
    told.set("until", rfc3339(range.value.until));
  }
  if (measure.value !== "flows") told.set("by", measure.value);
  if (zone.value !== "UTC") told.set("zone", zone.value);
  for (const [name, value] of Object.entries(own.value)) if (value) told.set(name, value);
  return `${location.pathname}?${told}`;
}

/** Keep the URL and the state alike, both ways. */
export function follow(): void {
  fromUrl();
  let popping = false;
  let waiting = false;
  addEventListener("popstate", () => {
    popping = true;
    fromUrl();
    popping = false;
  });
  // What changes at one press is one step back.
  const push = () => {
    waiting = false;
    const now = url();
    if (now !== location.pathname + location.search) history.pushState(null, "", now);
  };
  effect(() => {
    url();
    if (popping || waiting) return;
    waiting = true;
    queueMicrotask(push);
  });
}

/** Go to a screen, with what it keeps of its own. */
export function go(to: Screen, keep: Record<string, string> = {}): void {
  screen.value = to;
  own.value = keep;
}

/** Narrow the filter by one more condition; the same one is not added twice. */
export function narrow(condition: string): void {
  const parts = filter.value ? chips(filter.value) : [];
  if (!parts.includes(condition)) filter.value = [...parts, condition].join(" ");
}

/** The conditions of a filter, each a chip: words as a shell quotes them, `not` with what it leaves out. */
export function chips(text: string): string[] {
  const found: string[] = [];
  let [from, quote, negated] = [0, "", ""];
  for (let at = 0; at <= text.length; at += 1) {
    const one = text[at] ?? "";
    if (one === "\\" && quote !== "'") at += 1;
    else if (quote) quote = one === quote ? "" : quote;
    else if (one === "'" || one === '"') quote = one;
    if (at < text.length && (quote || !/\s/.test(one))) continue;
    const part = text.slice(from, at).trim();
    from = at + 1;
    if (part === "not" && !negated) negated = "not ";
    else if (part) {
      found.push(negated + part);
      negated = "";
    }
  }
  return negated ? [...found, negated.trim()] : found;
}
