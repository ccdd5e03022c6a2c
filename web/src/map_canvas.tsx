// The map as a picture: nodes by how sure their name is, edges by what went over them.

import { select } from "d3-selection";
import { zoom, zoomIdentity, type ZoomTransform } from "d3-zoom";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { MapEdge, ServiceMap } from "./api";
import { wordOf } from "./parts";
import { plain, short } from "./text";

const RADIUS = 9;
const DRAWN = 1500;

/** An edge's or node's heaviness, 0 to 1, by the logarithm: one talker does not hide all others. */
export function weight(value: number, most: number): number {
  return most <= 0 ? 0 : Math.log1p(value) / Math.log1p(most);
}

/** The edges to draw: the heaviest, and always what is chosen, new, gone or unsure. */
export function drawn(edges: MapEdge[], chosen: number | null): MapEdge[] {
  const must = (one: MapEdge) => one.change !== "" || one.src === chosen || one.dst === chosen;
  const rest = edges.filter((one) => !must(one));
  return [...rest.slice(0, Math.max(0, DRAWN - 1)), ...edges.filter(must)];
}

interface Policies {
  createPolicy(name: string, rules: { createScriptURL: () => string }): { createScriptURL(url: string): unknown };
}

/** The worker's address: a constant. Where Trusted Types are enforced, the page's one policy gives it and nothing else. */
const LAYOUT = (() => {
  const address = new URL("./layout.js", document.baseURI).href;
  const types = (globalThis as { trustedTypes?: Policies }).trustedTypes;
  return (types?.createPolicy("whowas-layout", { createScriptURL: () => address }).createScriptURL("") ?? address) as string;
})();

function usePlaces(told: ServiceMap): Float32Array | null {
  const [places, setPlaces] = useState<Float32Array | null>(null);
  const worker = useRef<Worker | null>(null);
  useEffect(() => {
    worker.current = new Worker(LAYOUT, { type: "module" });
    return () => worker.current?.terminate();
  }, []);
  useEffect(() => {
    const most = Math.max(1, ...told.edges.map((one) => one.flows));
    const names = [...new Set(told.nodes.map((one) => `${one.name.cluster}/${one.name.namespace}`))].sort();
    const asked = {
      count: told.nodes.length,
      edges: told.edges.map((one) => [one.src, one.dst, weight(one.flows, most)]),
      groups: told.nodes.map((one) => names.indexOf(`${one.name.cluster}/${one.name.namespace}`)),
    };
    const number = Math.random();
    const take = (event: MessageEvent<{ number: number; places: Float32Array }>) => {
      if (event.data.number === number) setPlaces(event.data.places);
    };
    worker.current?.addEventListener("message", take);
    worker.current?.postMessage({ number, asked });
    return () => worker.current?.removeEventListener("message", take);
  }, [told]);
  return places && places.length === 2 * told.nodes.length ? places : null;
}

interface Colours {
  text: string;
  line: string;
  back: string;
  fresh: string;
  gone: string;
  sure: (word: string) => string;
}

function colours(node: Element): Colours {
  const style = getComputedStyle(node);
  const of = (name: string) => style.getPropertyValue(name).trim();
  return {
    text: of("--text"),
    line: of("--line"),
    back: of("--back"),
    fresh: of("--new"),
    gone: of("--gone"),
    sure: (word) => of(`--sure-${word}`) || of("--sure-unknown"),
  };
}

const CERTAIN = new Set(["exact", "service", "node"]);

interface Scene {
  told: ServiceMap;
  places: Float32Array;
  edges: MapEdge[];
  chosen: number | null;
  found: string;
}

function paintEdge(context: CanvasRenderingContext2D, scene: Scene, edge: MapEdge, most: number, look: Colours): void {
  const { places } = scene;
  const [x1, y1, x2, y2] = [places[2 * edge.src], places[2 * edge.src + 1], places[2 * edge.dst], places[2 * edge.dst + 1]] as [number, number, number, number];
  if (edge.src === edge.dst) return;
  const near = scene.chosen === null || edge.src === scene.chosen || edge.dst === scene.chosen;
  context.globalAlpha = near ? 0.85 : 0.1;
  context.strokeStyle = edge.change === "new" ? look.fresh : edge.change === "gone" ? look.gone : look.line;
  context.lineWidth = 0.6 + 4 * weight(edge.flows, most);
  context.setLineDash(CERTAIN.has(edge.worst) ? [] : edge.worst === "likely" ? [6, 3] : [2, 4]);
  const [mx, my] = [(x1 + x2) / 2 - (y2 - y1) / 8, (y1 + y2) / 2 + (x2 - x1) / 8];
  context.beginPath();
  context.moveTo(x1, y1);
  context.quadraticCurveTo(mx, my, x2, y2);
  context.stroke();
  const turn = Math.atan2(y2 - my, x2 - mx);
  const [tx, ty] = [x2 - (RADIUS + 2) * Math.cos(turn), y2 - (RADIUS + 2) * Math.sin(turn)];
  context.setLineDash([]);
  context.beginPath();
  context.moveTo(tx, ty);
  context.lineTo(tx - 7 * Math.cos(turn - 0.4), ty - 7 * Math.sin(turn - 0.4));
  context.lineTo(tx - 7 * Math.cos(turn + 0.4), ty - 7 * Math.sin(turn + 0.4));
  context.fillStyle = context.strokeStyle;
  context.fill();
}

function paintNode(context: CanvasRenderingContext2D, scene: Scene, at: number, look: Colours, scale: number): void {
  const node = scene.told.nodes[at];
  if (!node) return;
  const [x, y] = [scene.places[2 * at] ?? 0, scene.places[2 * at + 1] ?? 0];
  const label = wordOf(node.name) || node.name.namespace || `(${node.name.confidence})`;
  const hit = scene.found !== "" && label.toLowerCase().includes(scene.found);
  const near = scene.chosen === null || scene.chosen === at || scene.edges.some((one) => (one.src === scene.chosen && one.dst === at) || (one.dst === scene.chosen && one.src === at));
  context.globalAlpha = near && (scene.found === "" || hit) ? 1 : 0.25;
  context.beginPath();
  if (node.name.kind === "node") context.rect(x - RADIUS, y - RADIUS, 2 * RADIUS, 2 * RADIUS);
  else context.arc(x, y, RADIUS, 0, 2 * Math.PI);
  context.fillStyle = CERTAIN.has(node.name.confidence) ? look.sure(node.name.confidence) : look.back;
  context.fill();
  context.strokeStyle = look.sure(node.name.confidence);
  context.lineWidth = scene.chosen === at ? 4 : 2;
  context.setLineDash(CERTAIN.has(node.name.confidence) ? [] : [3, 3]);
  context.stroke();
  context.setLineDash([]);
  if (scale > 0.55 || hit || scene.chosen === at) {
    context.fillStyle = look.text;
    context.font = "11px system-ui, sans-serif";
    context.textAlign = "center";
    context.fillText(short(label, 34), x, y + RADIUS + 13);
  }
}

function paint(canvas: HTMLCanvasElement, scene: Scene, view: ZoomTransform): void {
  const context = canvas.getContext("2d");
  if (!context) return;
  const ratio = devicePixelRatio || 1;
  const look = colours(canvas);
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, canvas.width, canvas.height);
  context.translate(view.x, view.y);
  context.scale(view.k, view.k);
  const most = Math.max(1, ...scene.edges.map((one) => one.flows));
  for (const edge of scene.edges) paintEdge(context, scene, edge, most, look);
  for (let at = 0; at < scene.told.nodes.length; at += 1) paintNode(context, scene, at, look, view.k);
}

/** A view that shows all nodes. */
function fitted(places: Float32Array, width: number, height: number): ZoomTransform {
  let [left, right, top, bottom] = [Infinity, -Infinity, Infinity, -Infinity];
  for (let at = 0; at < places.length; at += 2) {
    left = Math.min(left, places[at] ?? 0);
    right = Math.max(right, places[at] ?? 0);
    top = Math.min(top, places[at + 1] ?? 0);
    bottom = Math.max(bottom, places[at + 1] ?? 0);
  }
  if (left > right) return zoomIdentity;
  const scale = Math.min(1.6, (width - 120) / Math.max(1, right - left), (height - 90) / Math.max(1, bottom - top));
  return zoomIdentity.translate(width / 2, height / 2).scale(scale).translate(-(left + right) / 2, -(top + bottom) / 2);
}

export function MapCanvas(told: { map: ServiceMap; chosen: number | null; found: string; choose: (at: number | null) => void }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const places = usePlaces(told.map);
  const edges = useMemo(() => drawn(told.map.edges, told.chosen), [told.map, told.chosen]);
  const view = useRef<ZoomTransform>(zoomIdentity);
  const scene = useRef<Scene | null>(null);
  scene.current = places ? { told: told.map, places, edges, chosen: told.chosen, found: told.found.toLowerCase() } : null;
  const draw = () => {
    if (canvas.current && scene.current) paint(canvas.current, scene.current, view.current);
  };
  useEffect(() => {
    const node = canvas.current;
    if (!node || !places) return undefined;
    const fit = () => {
      node.width = node.clientWidth * (devicePixelRatio || 1);
      node.height = node.clientHeight * (devicePixelRatio || 1);
      draw();
    };
    view.current = fitted(places, node.clientWidth, node.clientHeight);
    const act = zoom<HTMLCanvasElement, unknown>()
      .scaleExtent([0.05, 8])
      .on("zoom", (event: { transform: ZoomTransform }) => {
        view.current = event.transform;
        requestAnimationFrame(draw);
      });
    const picked = select<HTMLCanvasElement, unknown>(node);
    picked.call(act).call(act.transform, view.current).on("dblclick.zoom", null);
    const watch = new ResizeObserver(fit);
    watch.observe(node);
    fit();
    return () => {
      watch.disconnect();
      picked.on(".zoom", null);
    };
  }, [places]);
  useEffect(draw, [edges, told.found, told.chosen]);
  const pick = (event: MouseEvent) => {
    const now = scene.current;
    if (!now) return;
    const [x, y] = view.current.invert([event.offsetX, event.offsetY]);
    let [best, far] = [null as number | null, (RADIUS + 6) ** 2];
    for (let at = 0; at < now.told.nodes.length; at += 1) {
      const apart = (x - (now.places[2 * at] ?? 0)) ** 2 + (y - (now.places[2 * at + 1] ?? 0)) ** 2;
      if (apart < far) [best, far] = [at, apart];
    }
    told.choose(best);
  };
  return (
    <canvas
      ref={canvas}
      class="map"
      data-ready={places !== null}
      role="img"
      aria-label={plain(`map of ${told.map.nodes.length} nodes and ${told.map.edges.length} edges; the table below says the same`)}
      onClick={pick}
    />
  );
}
