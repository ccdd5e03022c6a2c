// Small parts that all screens use.

import type { ComponentChildren } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";
import type { About, Name } from "./api";
import type { Asked } from "./ask";
import { go, narrow } from "./state";
import { condition, number, plain, short } from "./text";

/** The shape of each word: how sure a name is must be seen without colour as well. */
const SHAPES: Record<string, string> = {
  exact: "●",
  likely: "◕",
  ambiguous: "◑",
  node: "■",
  service: "◆",
  snat: "▣",
  external: "○",
  none: "✕",
  unknown: "?",
};

const MEANING: Record<string, string> = {
  exact: "the evidence leaves one holder only",
  likely: "one holder fits best; its bounds are not closed",
  ambiguous: "several may have held the address",
  node: "a node's own address",
  service: "a Service's address",
  snat: "a node's address that may speak for pods",
  external: "outside the cluster",
  none: "nobody held it then",
  unknown: "nobody was looking then",
};

/** One of whowas' words for how sure a name is. */
export function Confidence({ word }: { word: string }) {
  return (
    <span class={`sure sure-${word in SHAPES ? word : "unknown"}`} title={MEANING[word] ?? ""}>
      <span aria-hidden="true">{SHAPES[word] ?? "?"}</span> {plain(word)}
    </span>
  );
}

/** A word of a filter that stands for this name; "" when nothing does. */
export function wordOf(name: Name): string {
  if (!name.name) return "";
  if (name.kind === "node") return `node/${name.name}`;
  return name.namespace ? `${name.namespace}/${name.name}` : name.name;
}

/** How ends were put together: names mean another thing by each. label: the key, by label. */
export interface Grouping {
  by: string;
  label: string;
}

export const BY_WORKLOAD: Grouping = { by: "workload", label: "" };

/** What of a group of ends has a column or a word of the filter, so that it means these and no others. */
function meant(name: Name, side: "src" | "dst", { by, label }: Grouping): string[] {
  const where = (column: string, value: string) => condition("where", `${side}_${column}=${value}`);
  if (by === "node" || by === "label") {
    const column = by === "node" ? "node" : `labels.${label}`;
    return [name.name ? where(column, name.name) : `not ${where(column, "*")}`];
  }
  if (by === "namespace" && name.namespace) return [where("namespace", name.namespace)];
  if (name.kind === "pod" && name.name) {
    const kind = by === "pod" ? "pod" : name.name_kind.toLowerCase();
    return [condition(side, kind ? `${kind}/${name.namespace}/${name.name}` : wordOf(name))];
  }
  if (name.kind === "service" && name.name) return [condition(side, `service/${name.namespace}/${name.name}`)];
  if (name.name) return [name.kind === "node" ? condition(side, wordOf(name)) : where("workload", name.name)];
  if (name.kind === "external") return [where("kind", "external"), `not ${where("workload", "*")}`];
  return name.kind ? [where("kind", name.kind)] : [];
}

/** The conditions that leave the flows of one group of ends, of this confidence alone. */
export function conditionsOf(name: Name, side: "src" | "dst", how = BY_WORKLOAD): string[] {
  return [...meant(name, side, how), condition("where", `${side}_confidence=${name.confidence}`)];
}

/** A name with how sure it is. A click narrows by it. */
export function NameOf({ name, side, how = BY_WORKLOAD }: { name: Name; side: "src" | "dst"; how?: Grouping }) {
  const word = wordOf(name);
  const text = word || (name.namespace ? `${name.namespace}/` : `(${name.confidence || "no name"})`);
  return (
    <span class="name">
      {word ? (
        <button type="button" class="link" title={plain(text)} onClick={() => narrow(how.by === "node" || how.by === "label" ? (meant(name, side, how)[0] ?? "") : condition(side, word))}>
          {short(text)}
        </button>
      ) : (
        <span title={plain(text)}>{short(text)}</span>
      )}{" "}
      <Confidence word={name.confidence} />
    </span>
  );
}

/** What opens takes the focus, and gives it back to where it was. */
export function useArrival<E extends HTMLElement>() {
  const box = useRef<E>(null);
  // Before it is painted: whoever sees it may press a key at once.
  useLayoutEffect(() => {
    const before = document.activeElement;
    box.current?.focus({ preventScroll: true });
    return () => {
      if (before instanceof HTMLElement && before.isConnected) before.focus();
    };
  }, []);
  return box;
}

/** A text that opens Who was. */
export function WhoLink({ what, at }: { what: string; at?: number | null }) {
  return (
    <button type="button" class="link" title={plain(what)} onClick={() => go("who", at ? { what, at: String(at) } : { what })}>
      {short(what)}
    </button>
  );
}

/** A pane with its state: waiting, wrong, partial, or its content. */
export function Pane<A extends { about: About }>(told: {
  title: string;
  asked: Asked<A>;
  children: (answer: A) => ComponentChildren;
  note?: ComponentChildren;
  wide?: boolean;
}) {
  const { answer, error, waiting } = told.asked;
  return (
    <section class={told.wide ? "pane wide" : "pane"} aria-busy={waiting} data-ready={!waiting && answer !== null}>
      <header>
        <h2>{told.title}</h2>
        {told.note}
        {answer && <Took about={answer.about} />}
      </header>
      {error && <p class="wrong" role="alert">{plain(error.message)}</p>}
      {answer && <div class={waiting ? "stale" : ""}>{told.children(answer)}</div>}
      {!answer && waiting && <p class="quiet">asking …</p>}
    </section>
  );
}

function Took({ about }: { about: About }) {
  return (
    <span class="took">
      {about.partial && <span class="warn" title={plain(about.partial)}>partial: {short(about.partial, 48)} </span>}
      {about.source === "flows" && <span title="roll-ups do not have this column: the flows themselves were read">read from flows </span>}
      {Math.round(about.milliseconds)} ms
    </span>
  );
}

/** Text to copy, with its button. It is never run. */
export function Copy({ text, label }: { text: string; label: string }) {
  return (
    <figure class="copy">
      <figcaption>
        {label}{" "}
        <button type="button" onClick={() => void navigator.clipboard?.writeText(text)}>
          copy
        </button>
      </figcaption>
      <pre tabIndex={0}>{text.split("\n").map(plain).join("\n")}</pre>
    </figure>
  );
}

/** A count that leads to the flows behind it. */
export function Count({ value, conditions }: { value: number; conditions: string[] }) {
  return (
    <button
      type="button"
      class="link number"
      title="show these flows"
      onClick={() => {
        for (const one of conditions) narrow(one);
        go("flows");
      }}
    >
      {number(value)}
    </button>
  );
}
