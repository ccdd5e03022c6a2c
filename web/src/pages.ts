// Pages of flows, one behind the other: kept as they came, so that a million rows are not copied with every page.

import { useEffect, useRef, useState } from "preact/hooks";
import type { About, Flows } from "./api";
import { ask, Refused } from "./ask";
import { filter, question, range, status } from "./state";

/** The first page is there soon; later ones are fetched while somebody scrolls. */
const FIRST = 200;
const MORE = 1000;

/** One end in one cell: made of these columns. */
export const ENDS = ["src", "dst"];
const OF_END = ["namespace", "workload", "pod", "service", "node", "ip", "port", "confidence"];

export interface Pages {
  pages: Flows[];
  /** number of the first row of each page */
  starts: number[];
  count: number;
  cursor: string;
  about: About | null;
  searched: number | null;
  waiting: boolean;
  error: string;
}

const EMPTY: Pages = { pages: [], starts: [], count: 0, cursor: "", about: null, searched: null, waiting: true, error: "" };

/** The columns to ask for: those of an end where the end is one cell. */
export function wanted(columns: string[]): string[] {
  const known = new Set((status.value?.columns ?? []).map((one) => one.name));
  const all = columns.flatMap((one) => (ENDS.includes(one) ? OF_END.map((part) => `${one}_${part}`) : [one]));
  return [...new Set(all)].filter((one) => !known.size || known.has(one));
}

/** Put a page behind those that are there. */
export function added(before: Pages, page: Flows): Pages {
  return {
    pages: [...before.pages, page],
    starts: [...before.starts, before.count],
    count: before.count + page.flow_id.length,
    cursor: page.cursor,
    about: page.about,
    searched: page.searched_until,
    waiting: false,
    error: "",
  };
}

/** One row by its number: its columns, its hour and id. */
export function rowAt(told: Pages, row: number): { cells: Record<string, unknown>; hour: string; id: string } {
  let [low, high] = [0, told.starts.length - 1];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((told.starts[middle] ?? 0) <= row) low = middle;
    else high = middle - 1;
  }
  const page = told.pages[low];
  const at = row - (told.starts[low] ?? 0);
  if (!page) return { cells: {}, hour: "", id: "" };
  const cells = Object.fromEntries(page.columns.map((name, column) => [name, page.values[column]?.[at]]));
  return { cells, hour: page.hour[at] ?? "", id: page.flow_id[at] ?? "" };
}

/** The flows of the filter, and a way to ask for the next page. */
export function usePages(columns: string[]): [Pages, () => void] {
  const [pages, setPages] = useState<Pages>(EMPTY);
  const control = useRef<AbortController | null>(null);
  const load = (before: Pages) => {
    control.current?.abort();
    const mine = new AbortController();
    control.current = mine;
    setPages({ ...before, waiting: true });
    const limit = before.count ? MORE : FIRST;
    ask("/api/flows", { ...question.value, columns: wanted(columns), cursor: before.cursor, limit }, mine.signal).then(
      (page) => mine.signal.aborted || setPages(added(before, page)),
      (error: Error) => mine.signal.aborted || setPages({ ...before, waiting: false, error: error instanceof Refused ? error.message : String(error) }),
    );
  };
  useEffect(() => {
    load(EMPTY);
    return () => control.current?.abort();
  }, [filter.value, range.value, columns.join()]);
  return [pages, () => !pages.waiting && pages.cursor !== "" && load(pages)];
}
