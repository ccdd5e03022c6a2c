// Times are whole microseconds since 1970, as the API has them. What people see is in one zone, which is named.

import { signal } from "@preact/signals";

export const zone = signal("UTC");

const SECOND = 1_000_000;

const forms = new Map<string, Intl.DateTimeFormat>();

/** The format of a zone. To make one takes longer than to write a hundred times with it. */
function formOf(where: string): Intl.DateTimeFormat {
  const known = forms.get(where);
  if (known) return known;
  const form = new Intl.DateTimeFormat("en-GB", {
    timeZone: where,
    hourCycle: "h23",
    year: "numeric",
    month: "2-digit",
    day: "2-digit",
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
  });
  forms.set(where, form);
  return form;
}

function parts(us: number): Record<string, string> {
  const found: Record<string, string> = {};
  for (const one of formOf(zone.value).formatToParts(new Date(Math.floor(us / 1000)))) found[one.type] = one.value;
  return found;
}

/** 2026-11-20 10:15:02.123; the zone stands once on the page. digits: of the second's fraction. */
export function moment(us: number | null | undefined, digits = 0): string {
  if (us === null || us === undefined) return "?";
  const told = parts(us);
  const fraction = ((us % SECOND) + SECOND) % SECOND;
  const rest = digits ? `.${String(fraction).padStart(6, "0").slice(0, digits)}` : "";
  return `${told.year}-${told.month}-${told.day} ${told.hour}:${told.minute}:${told.second}${rest}`;
}

/** From one moment to another; a day that is the same is said once. */
export function between(since: number | null, until: number | null, digits = 0): string {
  const [from, to] = [moment(since, digits), moment(until, digits)];
  if (from === to) return from;
  return `${from} .. ${from.slice(0, 11) === to.slice(0, 11) ? to.slice(11) : to}`;
}

/** The clock alone, for axes. */
export function clock(us: number, withDay: boolean): string {
  const told = parts(us);
  return withDay ? `${told.month}-${told.day} ${told.hour}:${told.minute}` : `${told.hour}:${told.minute}`;
}

/** RFC 3339, UTC, in full: for URLs and inputs. */
export function rfc3339(us: number): string {
  const fraction = ((us % SECOND) + SECOND) % SECOND;
  const whole = new Date((us - fraction) / 1000).toISOString().slice(0, 19);
  return fraction ? `${whole}.${String(fraction).padStart(6, "0").replace(/0+$/, "")}Z` : `${whole}Z`;
}

/** A moment that was typed: RFC 3339, or a date and time that is UTC. null: it is no time. */
export function read(text: string): number | null {
  const found = /^(\d{4}-\d\d-\d\d)(?:[ T](\d\d:\d\d(?::\d\d)?)(?:\.(\d{1,6})\d*)?)?\s*(Z|UTC|[+-]\d\d:?\d\d)?$/i.exec(text.trim());
  if (!found) return null;
  const [, day, hours = "00:00:00", fraction = "", offset = "Z"] = found;
  const whole = Date.parse(`${day}T${hours.length === 5 ? `${hours}:00` : hours}${offset.toUpperCase() === "UTC" ? "Z" : offset}`);
  return Number.isNaN(whole) ? null : whole * 1000 + Number(fraction.padEnd(6, "0"));
}

/** A length for people. */
export function length(us: number): string {
  const steps: [number, string][] = [[86_400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
  const seconds = us / SECOND;
  for (const [one, name] of steps) if (seconds >= one) return `${Number((seconds / one).toFixed(1))} ${name}`;
  return `${Number((us / 1000).toFixed(1))} ms`;
}
