// Who talked to whom then, and what changed?

import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import type { MapAsk, MapEdge, MapNode, ServiceMap } from "./api";
import { useAnswer } from "./ask";
import { download } from "./export";
import { EdgeTable, type Line } from "./edges";
import { MapCanvas } from "./map_canvas";
import { drawingOf } from "./map_picture";
import { colours, paintOf, type Scene } from "./map_scene";
import { conditionsOf, Confidence, Count, NameOf, Pane, useArrival, WhoLink, wordOf, type Grouping } from "./parts";
import { savePicture } from "./pictures";
import { Denied, isDenied, paintedFirst, ValueChip, VERDICT } from "./policies";
import { go, measure, narrow, own, question, shown, status } from "./state";
import { condition, number, plain, short, size } from "./text";

const GROUPS = ["namespace", "workload", "pod", "node", "label"] as const;
const SHOWN = 200;
const PAINT = /^[a-z_]{1,40}$/;

function asked(): MapAsk {
  const keep = own.value;
  const by = GROUPS.find((one) => one === keep.group) ?? "workload";
  const now = shown.value;
  const baseline = keep.compare === "before" && now ? { since: now.since - (now.until - now.since), until: now.since } : null;
  const paint = PAINT.test(keep.paint ?? "") ? (keep.paint ?? "") : "";
  return { ...question.value, by, label: by === "label" ? (keep.label ?? "app") : "", measure: measure.value, baseline, paint };
}

export function MapScreen() {
  const ask = asked();
  const how = { by: ask.by ?? "workload", label: ask.label ?? "" };
  const told = useAnswer("/api/map", ask, status.value?.ready ?? 0);
  const [chosen, setChosen] = useState<number | null>(null);
  const [found, setFound] = useState("");
  const scene = useRef<Scene | null>(null);
  useEffect(() => setChosen(null), [told.answer]);
  // Before it is painted: whoever sees what is chosen may press Escape at once.
  useLayoutEffect(() => {
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
      <Pane title="Who talked to whom" asked={told} wide note={<Controls ask={ask} keep={keep} found={found} find={setFound} scene={scene} />}>
        {(map) => (
          <div class="split">
            <div>
              {ask.paint === VERDICT && <Denied map={map} how={how} />}
              <MapCanvas map={map} chosen={chosen} found={found} choose={setChosen} scene={scene} />
              <LeftOut map={map} />
            </div>
            <aside aria-label="The chosen node">
              {chosen !== null && map.nodes[chosen] ? <Side key={chosen} map={map} at={chosen} how={how} /> : <Legend map={map} paint={ask.paint ?? ""} />}
            </aside>
          </div>
        )}
      </Pane>
      <Pane title="The same as a table" asked={told} wide note={<TableExport map={told.answer} />}>
        {(map) => <MapTable map={map} how={how} choose={setChosen} />}
      </Pane>
    </div>
  );
}

function Controls(told: { ask: MapAsk; keep: (more: Record<string, string>) => void; found: string; find: (text: string) => void; scene: { current: Scene | null } }) {
  const paints = status.value?.paints ?? [];
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
      {paints.length > 0 && (
        <label>
          paint by{" "}
          <select value={told.ask.paint} onChange={(event) => told.keep({ paint: event.currentTarget.value })}>
            <option value="">nothing</option>
            {paints.map((one) => (
              <option key={one} value={one}>
                {one.replace("_", " ")}
              </option>
            ))}
          </select>
        </label>
      )}
      <label>
        find <input value={told.found} size={12} onInput={(event) => told.find(event.currentTarget.value)} />
      </label>
      <Pictures scene={told.scene} />
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

function Legend({ map, paint }: { map: ServiceMap; paint: string }) {
  return (
    <div class="legend">
      <p>Click a node to see its edges. Scroll to zoom, drag to move. A name that is certain here and likely there is two nodes.</p>
      <p>
        <Mark fill="exact" line="exact" /> a name that is certain
        <br />
        <Mark fill="service" line="service" /> a Service
        <br />
        <Mark fill="node" line="node" square /> a node
        <br />
        <Mark line="ambiguous" /> not certain, or outside
      </p>
      <p>
        <span class="line solid" /> between certain names
        <br />
        <span class="line dashed" /> a likely name at an end
        <br />
        <span class="line dotted" /> an end without a sure name
      </p>
      {paint ? (
        <PaintLegend map={map} paint={paint} />
      ) : (
        <p>
          <span class="line fresh" /> new against the range before
          <br />
          <span class="line gone" /> gone since then
        </p>
      )}
    </div>
  );
}

function Mark({ fill, line, square }: { fill?: string; line: string; square?: boolean }) {
  const look = colours(document.body);
  const drawn = { fill: fill ? look.sure(fill) : look.back, stroke: look.sure(line), "stroke-width": 2, "stroke-dasharray": fill ? undefined : "3 3" };
  return (
    <svg class="mark" width="34" height="14" aria-hidden="true">
      {square ? <rect x={12} y={2} width={10} height={10} {...drawn} /> : <circle cx={17} cy={7} r={5} {...drawn} />}
    </svg>
  );
}

/** What the colours of edges mean, with how many flows. */
function PaintLegend({ map, paint }: { map: ServiceMap; paint: string }) {
  const told = paintedFirst(map);
  const words = told.map(([one]) => one).sort();
  const look = colours(document.body);
  return (
    <p>
      {paint.replace("_", " ")}:
      {told.map(([value, flows]) => (
        <span key={value}>
          <br />
          <svg class="mark" width="34" height="14" aria-hidden="true">
            <line x1={0} x2={34} y1={7} y2={7} stroke-width={3} stroke={paintOf(value, words, look)} />
          </svg>{" "}
          {value === "denied" ? <strong class="wrong">✕ seen though denied</strong> : plain(value || "not told")} <span class="quiet">{number(flows)}</span> <ValueChip column={paint} value={value} />
        </span>
      ))}
    </p>
  );
}

function Side({ map, at, how }: { map: ServiceMap; at: number; how: Grouping }) {
  const { by } = how;
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
        {word && by !== "namespace" && <WhoLink what={by === "label" ? `${how.label}=${node.name.name}` : word} />}
      </p>
      <ul class="list">
        {edges.slice(0, 40).map((one, row) => {
          const other = one.src === at ? one.dst : one.src;
          const name = map.nodes[other] as MapNode;
          return (
            <li key={row}>
              {one.src === at ? "→" : "←"} <NameOf name={name.name} side={one.src === at ? "dst" : "src"} how={how} /> <Ports edge={one} />{" "}
              <Count value={one.flows} conditions={[...conditionsOf((map.nodes[one.src] as MapNode).name, "src", how), ...conditionsOf((map.nodes[one.dst] as MapNode).name, "dst", how)]} />
              {one.change && <span class={one.change}> {one.change}</span>}
              {isDenied(one) && <strong class="wrong"> ✕ seen though denied</strong>}
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

function linesOf(map: ServiceMap, how: Grouping): Line[] {
  return map.edges.slice(0, SHOWN).map((one) => {
    const [src, dst] = [map.nodes[one.src] as MapNode, map.nodes[one.dst] as MapNode];
    const { flows, bytes, first, last, change } = one;
    const painted = one.painted.map(([value, count]) => `${value || "not told"} ${number(count)}`).join(", ");
    const count = [...conditionsOf(src.name, "src", how), ...conditionsOf(dst.name, "dst", how)];
    return { src: src.name, dst: dst.name, ports: <Ports edge={one} />, flows, bytes, first, last, count, change, painted, loud: isDenied(one) ? "✕ seen though denied" : "" };
  });
}

function MapTable({ map, how, choose }: { map: ServiceMap; how: Grouping; choose: (at: number) => void }) {
  return (
    <>
      <EdgeTable lines={linesOf(map, how)} how={how} times open={(row) => choose((map.edges[row] as MapEdge).src)} />
      {map.edges.length > SHOWN && <p class="quiet">{number(map.edges.length - SHOWN)} more edges are in the file</p>}
    </>
  );
}

function TableExport({ map }: { map: ServiceMap | null }) {
  if (!map) return null;
  return (
    <button type="button" onClick={() => download(new Blob([JSON.stringify(map, null, 1)], { type: "application/json" }), "map.json")}>
      JSON
    </button>
  );
}

/** The whole map as a file, whatever part of it is on the screen. */
function Pictures({ scene }: { scene: { current: Scene | null } }) {
  const save = (form: "svg" | "png") => {
    if (scene.current) savePicture(new XMLSerializer().serializeToString(drawingOf(scene.current, document.body)), "map", form);
  };
  return (
    <span class="controls">
      {(["svg", "png"] as const).map((form) => (
        <button key={form} type="button" title="the whole map as a picture" onClick={() => save(form)}>
          {form.toUpperCase()}
        </button>
      ))}
    </span>
  );
}
