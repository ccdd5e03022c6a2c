// Who talked to whom then, and what changed?

import { useEffect, useState } from "preact/hooks";
import type { MapAsk, MapEdge, MapNode, ServiceMap } from "./api";
import { useAnswer } from "./ask";
import { download } from "./export";
import { MapCanvas } from "./map_canvas";
import { Confidence, Count, NameOf, Pane, useArrival, WhoLink, wordOf } from "./parts";
import { go, measure, narrow, own, question, shown, status } from "./state";
import { condition, number, plain, short, size } from "./text";
import { between } from "./times";

const GROUPS = ["namespace", "workload", "pod", "node", "label"] as const;
const SHOWN = 200;

function asked(): MapAsk {
  const keep = own.value;
  const by = GROUPS.find((one) => one === keep.group) ?? "workload";
  const now = shown.value;
  const baseline = keep.compare === "before" && now ? { since: now.since - (now.until - now.since), until: now.since } : null;
  return { ...question.value, by, label: by === "label" ? (keep.label ?? "app") : "", measure: measure.value, baseline };
}

export function MapScreen() {
  const ask = asked();
  const told = useAnswer("/api/map", ask, status.value?.ready ?? 0);
  const [chosen, setChosen] = useState<number | null>(null);
  const [found, setFound] = useState("");
  useEffect(() => setChosen(null), [told.answer]);
  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      if (event.key !== "Escape" || chosen === null) return;
      setChosen(null);
      event.preventDefault();
    };
    addEventListener("keydown", press, true);
    return () => removeEventListener("keydown", press, true);
  }, [chosen]);
  const keep = (more: Record<string, string>) => {
    own.value = { ...own.value, ...more };
  };
  return (
    <div class="panes">
      <Pane title="Who talked to whom" asked={told} wide note={<Controls ask={ask} keep={keep} found={found} find={setFound} />}>
        {(map) => (
          <div class="split">
            <div>
              <MapCanvas map={map} chosen={chosen} found={found} choose={setChosen} />
              <LeftOut map={map} />
            </div>
            <aside aria-label="The chosen node">
              {chosen !== null && map.nodes[chosen] ? <Side key={chosen} map={map} at={chosen} by={ask.by ?? "workload"} /> : <Legend />}
            </aside>
          </div>
        )}
      </Pane>
      <Pane title="The same as a table" asked={told} wide note={<TableExport map={told.answer} />}>
        {(map) => <EdgeTable map={map} choose={setChosen} />}
      </Pane>
    </div>
  );
}

function Controls(told: { ask: MapAsk; keep: (more: Record<string, string>) => void; found: string; find: (text: string) => void }) {
  return (
    <span class="controls">
      <label>
        by{" "}
        <select value={told.ask.by} onChange={(event) => told.keep({ group: event.currentTarget.value })}>
          {GROUPS.map((one) => (
            <option key={one} value={one}>
              {one}
            </option>
          ))}
        </select>
      </label>
      {told.ask.by === "label" && (
        <label>
          label <input value={told.ask.label} size={12} onChange={(event) => told.keep({ label: event.currentTarget.value })} />
        </label>
      )}
      <label>
        <input type="checkbox" checked={told.ask.baseline !== null} onChange={(event) => told.keep({ compare: event.currentTarget.checked ? "before" : "" })} />{" "}
        against the range before
      </label>
      <label>
        find <input value={told.found} size={12} onInput={(event) => told.find(event.currentTarget.value)} />
      </label>
    </span>
  );
}

function LeftOut({ map }: { map: ServiceMap }) {
  const [nodes, edges, flows] = map.left_out;
  if (!nodes && !edges) return null;
  return (
    <p class="warn">
      not shown: {number(nodes)} nodes, {number(edges)} edges, {number(flows)} flows; narrow the filter or the range
    </p>
  );
}

function Legend() {
  return (
    <div class="legend">
      <p>Click a node to see its edges. Scroll to zoom, drag to move.</p>
      <p>
        <span class="line solid" /> names that are certain
        <br />
        <span class="line dashed" /> a likely name at an end
        <br />
        <span class="line dotted" /> an end without a sure name
      </p>
      <p>
        <span class="line fresh" /> new against the range before
        <br />
        <span class="line gone" /> gone since then
      </p>
    </div>
  );
}

/** The flows of a node: by the words of the filter. */
function conditions(node: MapNode, by: string, side: string): string[] {
  const sure = condition("where", `${side}_confidence=${node.name.confidence}`);
  if (by === "namespace") return node.name.namespace ? [condition("where", `${side}_namespace=${node.name.namespace}`), sure] : [sure];
  const word = wordOf(node.name);
  return word ? [condition(side, word), sure] : [sure];
}

function Side({ map, at, by }: { map: ServiceMap; at: number; by: string }) {
  const node = map.nodes[at] as MapNode;
  const word = wordOf(node.name);
  const title = useArrival<HTMLHeadingElement>();
  const edges = map.edges.filter((one) => one.src === at || one.dst === at);
  return (
    <>
      <h3 ref={title} tabIndex={-1}>
        {short(word || node.name.namespace || node.name.confidence)}
      </h3>
      <p>
        {plain(node.name.kind)} <Confidence word={node.name.confidence} />
        <br />
        {number(node.flows)} flows, {size(node.bytes)}
        {node.inside > 0 && `, ${number(node.inside)} within`}
      </p>
      <p>
        {by === "namespace" && node.name.namespace && (
          <button
            type="button"
            onClick={() => {
              narrow(condition("namespace", node.name.namespace));
              go("map", { group: "workload" });
            }}
          >
            step in
          </button>
        )}
        {word && by !== "namespace" && <WhoLink what={word} />}
      </p>
      <ul class="list">
        {edges.slice(0, 40).map((one, row) => {
          const other = one.src === at ? one.dst : one.src;
          const name = map.nodes[other] as MapNode;
          return (
            <li key={row}>
              {one.src === at ? "→" : "←"} <NameOf name={name.name} side={one.src === at ? "dst" : "src"} /> <Ports edge={one} />{" "}
              <Count value={one.flows} conditions={[...conditions(map.nodes[one.src] as MapNode, by, "src"), ...conditions(map.nodes[one.dst] as MapNode, by, "dst")]} />
              {one.change && <span class={one.change}> {one.change}</span>}
            </li>
          );
        })}
      </ul>
      {edges.length > 40 && <p class="quiet">{edges.length - 40} more edges in the table</p>}
    </>
  );
}

function Ports({ edge }: { edge: MapEdge }) {
  const told = edge.ports.slice(0, 4).map(([protocol, port]) => (port === null ? protocol : `${protocol} ${port}`));
  const more = edge.ports.length - told.length + edge.more_ports;
  return (
    <span class="quiet">
      {plain(told.join(", "))}
      {more > 0 && ` and ${more} more`}
    </span>
  );
}

function EdgeTable({ map, choose }: { map: ServiceMap; choose: (at: number) => void }) {
  return (
    <>
      <table>
        <thead>
          <tr>
            <th>from</th>
            <th>to</th>
            <th>ports</th>
            <th class="number">flows</th>
            <th class="number">bytes</th>
            <th>first .. last</th>
            <th>change</th>
          </tr>
        </thead>
        <tbody>
          {map.edges.slice(0, SHOWN).map((one, row) => (
            <tr key={row} data-row tabIndex={0} onKeyDown={(event) => event.key === "Enter" && choose(one.src)}>
              <td>
                <NameOf name={(map.nodes[one.src] as MapNode).name} side="src" />
              </td>
              <td>
                <NameOf name={(map.nodes[one.dst] as MapNode).name} side="dst" />
              </td>
              <td>
                <Ports edge={one} />
              </td>
              <td class="number">{number(one.flows)}</td>
              <td class="number">{size(one.bytes)}</td>
              <td>
                {between(one.first, one.last)}
              </td>
              <td class={one.change}>{one.change}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {map.edges.length > SHOWN && <p class="quiet">{number(map.edges.length - SHOWN)} more edges are in the file</p>}
    </>
  );
}

function TableExport({ map }: { map: ServiceMap | null }) {
  if (!map) return null;
  return (
    <span class="controls">
      <button type="button" onClick={() => picture()}>
        PNG
      </button>
      <button type="button" onClick={() => download(new Blob([JSON.stringify(map, null, 1)], { type: "application/json" }), "map.json")}>
        JSON
      </button>
    </span>
  );
}

function picture(): void {
  const canvas = document.querySelector<HTMLCanvasElement>("canvas.map");
  canvas?.toBlob((content) => content && download(content, "map.png"));
}
