// The map on the screen: a canvas that is moved and zoomed, laid out by a worker.

import { select } from "d3-selection";
import { zoom, zoomIdentity, type ZoomTransform } from "d3-zoom";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { MapEdge, ServiceMap } from "./api";
import { colours, edgeShape, nodeShape, RADIUS, sceneOf, shownPaint, weight, type Colours, type EdgeShape, type NodeShape, type Scene } from "./map_scene";
import { plain } from "./text";

const DRAWN = 1500;
/** Maps with more than this are moved as a picture, and drawn anew when they rest. */
const HEAVY = 600;
const REST = 140;
const FULL = 80;

/** The edges to draw: the heaviest, and always what is chosen, new, gone or denied. */
export function drawn(edges: MapEdge[], chosen: number | null): MapEdge[] {
  const must = (one: MapEdge) => one.change !== "" || one.src === chosen || one.dst === chosen || shownPaint(one) === "denied";
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

function paintEdge(context: CanvasRenderingContext2D, one: EdgeShape): void {
  context.globalAlpha = one.alpha;
  context.strokeStyle = one.colour;
  context.lineWidth = one.width;
  context.setLineDash(one.dash);
  context.beginPath();
  context.moveTo(...one.from);
  context.quadraticCurveTo(...one.bend, ...one.to);
  context.stroke();
  context.setLineDash([]);
  context.beginPath();
  one.arrow.forEach((spot, at) => (at ? context.lineTo(...spot) : context.moveTo(...spot)));
  context.fillStyle = one.colour;
  context.fill();
  if (!one.cross.length) return;
  context.lineWidth = 2.5;
  context.beginPath();
  for (const stroke of one.cross) stroke.forEach((spot, at) => (at ? context.lineTo(...spot) : context.moveTo(...spot)));
  context.stroke();
}

/** A node is never so small that it cannot be seen. */
function radiusAt(scale: number): number {
  return Math.max(RADIUS, 2.6 / scale);
}

function paintNode(context: CanvasRenderingContext2D, one: NodeShape, scale: number): void {
  const radius = radiusAt(scale);
  context.globalAlpha = one.alpha;
  context.beginPath();
  if (one.square) context.rect(one.x - radius, one.y - radius, 2 * radius, 2 * radius);
  else context.arc(one.x, one.y, radius, 0, 2 * Math.PI);
  context.fillStyle = one.fill;
  context.fill();
  context.strokeStyle = one.line;
  context.lineWidth = one.width;
  context.setLineDash(one.dash);
  context.stroke();
  context.setLineDash([]);
}

/** Names keep their size on the screen, and stand clear of the lines behind them. */
function paintName(context: CanvasRenderingContext2D, one: NodeShape, look: Colours, scale: number): void {
  const high = 11 / Math.min(scale, 1);
  context.globalAlpha = one.alpha;
  context.font = `${high}px system-ui, sans-serif`;
  context.textAlign = "center";
  context.strokeStyle = look.back;
  context.lineWidth = high / 4;
  context.lineJoin = "round";
  context.strokeText(one.label, one.x, one.y + RADIUS + high + 1);
  context.fillStyle = look.text;
  context.fillText(one.label, one.x, one.y + RADIUS + high + 1);
}

/** The names that are written. On a full map none is written over another: it can be come nearer to. */
function named(nodes: NodeShape[], scale: number): NodeShape[] {
  const told = nodes.filter((one) => one.label);
  if (nodes.length <= FULL) return told;
  const boxes: [number, number, number][] = [];
  return told.filter((one) => {
    const [x, y, half] = [one.x * scale, one.y * scale, 3.2 * one.label.length];
    const free = boxes.every(([left, top, wide]) => Math.abs(left - x) > wide + half || Math.abs(top - y) > 13);
    if (free) boxes.push([x, y, half]);
    return free;
  });
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
  for (const edge of scene.edges) {
    const shape = edgeShape(scene, edge, look);
    if (shape) paintEdge(context, shape);
  }
  const nodes = scene.told.nodes.flatMap((_, at) => nodeShape(scene, at, look, view.k) ?? []);
  for (const one of nodes) paintNode(context, one, view.k);
  for (const one of named(nodes, view.k)) paintName(context, one, look, view.k);
}

/** A picture of the map as it was last drawn, and where it was looked at from. */
interface Kept {
  picture: HTMLCanvasElement;
  view: ZoomTransform;
}

function keep(canvas: HTMLCanvasElement, view: ZoomTransform): Kept {
  const picture = document.createElement("canvas");
  [picture.width, picture.height] = [canvas.width, canvas.height];
  picture.getContext("2d")?.drawImage(canvas, 0, 0);
  return { picture, view };
}

function move(canvas: HTMLCanvasElement, kept: Kept, view: ZoomTransform): void {
  const context = canvas.getContext("2d");
  const ratio = devicePixelRatio || 1;
  const by = view.k / kept.view.k;
  context?.setTransform(by, 0, 0, by, ratio * (view.x - kept.view.x * by), ratio * (view.y - kept.view.y * by));
  context?.save();
  context?.setTransform(1, 0, 0, 1, 0, 0);
  context?.clearRect(0, 0, canvas.width, canvas.height);
  context?.restore();
  if (context) context.globalAlpha = 1;
  context?.drawImage(kept.picture, 0, 0);
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

export function MapCanvas(told: {
  map: ServiceMap;
  chosen: number | null;
  found: string;
  choose: (at: number | null) => void;
  scene: { current: Scene | null };
}) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const places = usePlaces(told.map);
  const edges = useMemo(() => drawn(told.map.edges, told.chosen), [told.map, told.chosen]);
  const view = useRef<ZoomTransform>(zoomIdentity);
  const { scene } = told;
  scene.current = useMemo(
    () => (places ? sceneOf(told.map, places, edges, told.chosen, told.found.toLowerCase()) : null),
    [told.map, places, edges, told.chosen, told.found],
  );
  const kept = useRef<Kept | null>(null);
  const rest = useRef(0);
  const draw = () => {
    clearTimeout(rest.current);
    if (!canvas.current || !scene.current) return;
    paint(canvas.current, scene.current, view.current);
    const heavy = scene.current.edges.length + scene.current.told.nodes.length > HEAVY;
    kept.current = heavy ? keep(canvas.current, view.current) : null;
  };
  const moved = () => {
    if (!canvas.current || !kept.current) {
      draw();
      return;
    }
    move(canvas.current, kept.current, view.current);
    clearTimeout(rest.current);
    rest.current = window.setTimeout(draw, REST);
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
        requestAnimationFrame(moved);
      });
    const picked = select<HTMLCanvasElement, unknown>(node);
    picked.call(act).call(act.transform, view.current).on("dblclick.zoom", null);
    const watch = new ResizeObserver(fit);
    watch.observe(node);
    fit();
    return () => {
      clearTimeout(rest.current);
      watch.disconnect();
      picked.on(".zoom", null);
    };
  }, [places]);
  useEffect(draw, [edges, told.found, told.chosen]);
  const pick = (event: MouseEvent) => {
    const now = scene.current;
    if (!now) return;
    const [x, y] = view.current.invert([event.offsetX, event.offsetY]);
    let [best, far] = [null as number | null, (radiusAt(view.current.k) + 6) ** 2];
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
