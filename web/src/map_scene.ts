// How a map is drawn: one geometry and one set of colours, for the canvas and for the file.

import type { MapEdge, MapNode, ServiceMap } from "./api";
import { wordOf } from "./parts";
import { short } from "./text";

export const RADIUS = 9;
/** So many names are shown however far away the map is: of the heaviest nodes. */
const NAMED = 24;
const CERTAIN = new Set(["exact", "service", "node"]);

/** An edge's or node's heaviness, 0 to 1, by the logarithm: one talker does not hide all others. */
export function weight(value: number, most: number): number {
  return most <= 0 ? 0 : Math.log1p(value) / Math.log1p(most);
}

export interface Colours {
  text: string;
  line: string;
  back: string;
  fresh: string;
  gone: string;
  wrong: string;
  sure: (word: string) => string;
}

/** The colours of the theme, read once for a picture. */
export function colours(node: Element): Colours {
  const style = getComputedStyle(node);
  const kept = new Map<string, string>();
  const of = (name: string) => {
    let found = kept.get(name);
    if (found === undefined) kept.set(name, (found = style.getPropertyValue(name).trim()));
    return found;
  };
  return {
    text: of("--text"),
    line: of("--line"),
    back: of("--back"),
    fresh: of("--new"),
    gone: of("--gone"),
    wrong: of("--wrong"),
    sure: (word) => of(`--sure-${word}`) || of("--sure-unknown"),
  };
}

/** Values that say yes and no about a flow; others take a colour each, in their order. */
const GOOD = new Set(["allowed", "allow", "true", "forwarded", "internal"]);
const BAD = new Set(["denied", "deny", "false", "dropped", "external"]);
const DENIED = new Set(["denied", "deny", "dropped"]);
const CROSS = 6;
const OTHERS = ["service", "ambiguous", "none", "node", "external"];

/** The colour of a value that edges are painted by. words: all values of the map, sorted. */
export function paintOf(value: string, words: string[], look: Colours): string {
  if (value === "") return look.line;
  if (BAD.has(value)) return look.wrong;
  if (GOOD.has(value)) return look.sure("exact");
  const rest = words.filter((one) => one !== "" && !GOOD.has(one) && !BAD.has(one));
  return look.sure(OTHERS[rest.indexOf(value) % OTHERS.length] ?? "unknown");
}

/** What an edge is painted as: what was denied shows, however much was allowed beside it. */
export function shownPaint(edge: MapEdge): string {
  return edge.painted.find(([value]) => BAD.has(value) && value !== "external")?.[0] ?? edge.painted[0]?.[0] ?? "";
}

/** Every value of the paint of a map, with its flows. */
export function paintsOf(told: ServiceMap): [string, number][] {
  const found = new Map<string, number>();
  for (const edge of told.edges) for (const [value, flows] of edge.painted) found.set(value, (found.get(value) ?? 0) + flows);
  return [...found].sort(([a], [b]) => (a < b ? -1 : 1));
}

export interface Scene {
  told: ServiceMap;
  places: Float32Array;
  edges: MapEdge[];
  chosen: number | null;
  found: string;
  most: number;
  near: Set<number> | null;
  named: Set<number>;
  words: string[];
}

export function sceneOf(told: ServiceMap, places: Float32Array, edges: MapEdge[], chosen: number | null, found: string): Scene {
  const near = chosen === null ? null : new Set(edges.filter((one) => one.src === chosen || one.dst === chosen).flatMap((one) => [one.src, one.dst]));
  near?.add(chosen as number);
  const heavy = told.nodes.map((one, at) => [one.flows, at] as const).sort((a, b) => b[0] - a[0]);
  const most = edges.reduce((high, one) => Math.max(high, one.flows), 1);
  const named = new Set(heavy.slice(0, NAMED).map(([, at]) => at));
  return { told, places, edges, chosen, found, most, near, named, words: paintsOf(told).map(([value]) => value) };
}

function crossAt(x: number, y: number): [number, number][][] {
  return [
    [
      [x - CROSS, y - CROSS],
      [x + CROSS, y + CROSS],
    ],
    [
      [x - CROSS, y + CROSS],
      [x + CROSS, y - CROSS],
    ],
  ];
}

export interface EdgeShape {
  from: [number, number];
  bend: [number, number];
  to: [number, number];
  arrow: [number, number][];
  colour: string;
  width: number;
  dash: number[];
  alpha: number;
  /** The two strokes of a cross on what was denied: seen without colour too. */
  cross: [number, number][][];
}

/** How an edge looks; null: within one node, which its word tells. */
export function edgeShape(scene: Scene, edge: MapEdge, look: Colours): EdgeShape | null {
  if (edge.src === edge.dst) return null;
  const { places } = scene;
  const [x1, y1, x2, y2] = [places[2 * edge.src], places[2 * edge.src + 1], places[2 * edge.dst], places[2 * edge.dst + 1]] as [number, number, number, number];
  const [mx, my] = [(x1 + x2) / 2 - (y2 - y1) / 8, (y1 + y2) / 2 + (x2 - x1) / 8];
  const turn = Math.atan2(y2 - my, x2 - mx);
  const [tx, ty] = [x2 - (RADIUS + 2) * Math.cos(turn), y2 - (RADIUS + 2) * Math.sin(turn)];
  const wing = (by: number): [number, number] => [tx - 7 * Math.cos(turn + by), ty - 7 * Math.sin(turn + by)];
  const painted = edge.painted.length ? paintOf(shownPaint(edge), scene.words, look) : look.line;
  const near = scene.near === null || edge.src === scene.chosen || edge.dst === scene.chosen;
  return {
    from: [x1, y1],
    bend: [mx, my],
    to: [tx, ty],
    arrow: [[tx, ty], wing(-0.4), wing(0.4)],
    colour: edge.change === "new" ? look.fresh : edge.change === "gone" ? look.gone : painted,
    width: 0.6 + 4 * weight(edge.flows, scene.most),
    dash: CERTAIN.has(edge.worst) ? [] : edge.worst === "likely" ? [6, 3] : [2, 4],
    alpha: near ? 0.85 : 0.1,
    cross: DENIED.has(shownPaint(edge)) ? crossAt((x1 + 2 * mx + tx) / 4, (y1 + 2 * my + ty) / 4) : [],
  };
}

export interface NodeShape {
  x: number;
  y: number;
  square: boolean;
  fill: string;
  line: string;
  width: number;
  dash: number[];
  alpha: number;
  label: string;
}

export function labelOf(node: MapNode): string {
  return wordOf(node.name) || node.name.namespace || `(${node.name.confidence})`;
}

/** How a node looks at a scale: far away only the heaviest have their names. */
export function nodeShape(scene: Scene, at: number, look: Colours, scale: number): NodeShape | null {
  const node = scene.told.nodes[at];
  if (!node) return null;
  const label = labelOf(node);
  const hit = scene.found !== "" && label.toLowerCase().includes(scene.found);
  const near = scene.near === null || scene.near.has(at);
  const sure = CERTAIN.has(node.name.confidence);
  const named = scale > 0.55 || hit || scene.chosen === at || scene.named.has(at) || (scene.near !== null && near);
  return {
    x: scene.places[2 * at] ?? 0,
    y: scene.places[2 * at + 1] ?? 0,
    square: node.name.kind === "node",
    fill: sure ? look.sure(node.name.confidence) : look.back,
    line: look.sure(node.name.confidence),
    width: scene.chosen === at ? 4 : 2,
    dash: sure ? [] : [3, 3],
    alpha: near && (scene.found === "" || hit) ? 1 : 0.25,
    label: named ? short(label, 34) : "",
  };
}
