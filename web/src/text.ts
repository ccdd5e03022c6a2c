// Text from strangers, safe to look at. Everything is shown as text nodes; this makes the unseen visible.

const UNSEEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}]/gu;
const LONG = 64;

/** Control characters, direction marks, zero widths and lone surrogates become escapes. */
export function plain(value: unknown): string {
  return String(value ?? "").replace(UNSEEN, (one) => {
    const code = one.codePointAt(0) ?? 0;
    return code > 0xffff ? `\\u{${code.toString(16)}}` : `\\u${code.toString(16).padStart(4, "0")}`;
  });
}

/** The same, cut in the middle when it is long: names differ at their ends. */
export function short(value: unknown, most = LONG): string {
  const text = plain(value);
  if (text.length <= most) return text;
  const half = Math.floor((most - 1) / 2);
  return `${text.slice(0, half)}…${text.slice(-half)}`;
}

const UNITS = ["B", "kB", "MB", "GB", "TB", "PB"];

/** Bytes for people, powers of 1000. */
export function size(bytes: number): string {
  let count = bytes;
  let unit = 0;
  while (Math.abs(count) >= 1000 && unit < UNITS.length - 1) {
    count /= 1000;
    unit += 1;
  }
  return `${unit ? count.toFixed(1) : count} ${UNITS[unit]}`;
}

const NUMBERS = new Intl.NumberFormat("en-GB");

/** A number with separators. */
export function number(count: number): string {
  return NUMBERS.format(count);
}

/** A condition of the filter, quoted as a shell does where it must be. */
export function condition(word: string, value: string): string {
  const text = `${word}=${value}`;
  return /^[\w.:/@*=,+-]+$/.test(text) ? text : `'${text.replaceAll("'", `'"'"'`)}'`;
}
