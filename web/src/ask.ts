// Questions to the server. The newest of a pane wins: an older one is given up, and its answer is thrown away.

import { useEffect, useState } from "preact/hooks";
import type { Endpoints, Problem } from "./api";

type Path = keyof Endpoints;

const KEPT = "whowas-token";

/** The token of the URL's fragment: it goes to no log, is kept for this tab, and leaves the address bar at once. */
export function takeToken(): void {
  const found = /^#token=([\w-]+)$/.exec(location.hash);
  if (!found) return;
  sessionStorage.setItem(KEPT, found[1] ?? "");
  history.replaceState(history.state, "", location.pathname + location.search);
}

/** An answer that is none. `at`: where the filter is wrong. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly at: number | null = null,
  ) {
    super(message);
  }
}

function request(body: unknown, signal: AbortSignal | null): RequestInit {
  const headers: Record<string, string> = { Authorization: `Bearer ${sessionStorage.getItem(KEPT) ?? ""}` };
  if (body === undefined) return { headers, signal };
  headers["Content-Type"] = "application/json";
  return { method: "POST", headers, body: JSON.stringify(body), signal };
}

async function refused(answer: Response): Promise<Refused> {
  try {
    const problem = (await answer.json()) as Problem;
    return new Refused(answer.status, problem.error, problem.at);
  } catch {
    return new Refused(answer.status, `the server answered ${answer.status}`);
  }
}

async function send(path: string, body: unknown, signal: AbortSignal | null): Promise<Response> {
  const answer = await fetch(path, request(body, signal));
  if (!answer.ok) throw await refused(answer);
  return answer;
}

/** Ask once. Throws: Refused, or what fetch throws when the server is away. */
export async function ask<P extends Path>(
  path: P,
  body?: Endpoints[P]["asks"],
  signal: AbortSignal | null = null,
): Promise<Endpoints[P]["tells"]> {
  return (await (await send(path, body, signal)).json()) as Endpoints[P]["tells"];
}

/** Ask for a file. */
export async function askFile<P extends "/api/export" | "/api/report">(path: P, body: Endpoints[P]["asks"]): Promise<Response> {
  return send(path, body, null);
}

export interface Asked<Answer> {
  answer: Answer | null;
  error: Error | null;
  waiting: boolean;
  /** what was asked for this answer, as JSON */
  of: string;
}

/** Ask whenever the question changes. A null question asks nothing. The answer before stays until the next is there. */
export function useAnswer<P extends Path>(path: P, body: Endpoints[P]["asks"] | null, again = 0): Asked<Endpoints[P]["tells"]> {
  const [state, setState] = useState<Asked<Endpoints[P]["tells"]>>({ answer: null, error: null, waiting: true, of: "" });
  const key = JSON.stringify(body);
  useEffect(() => {
    if (body === null) {
      setState({ answer: null, error: null, waiting: false, of: key });
      return undefined;
    }
    const control = new AbortController();
    setState((before) => ({ ...before, waiting: true }));
    ask(path, body, control.signal).then(
      (answer) => control.signal.aborted || setState({ answer, error: null, waiting: false, of: key }),
      (error: Error) => control.signal.aborted || setState({ answer: null, error, waiting: false, of: key }),
    );
    return () => control.abort();
  }, [path, key, again]);
  return state;
}
