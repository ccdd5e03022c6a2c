// The map as a file of its own: SVG, with the same shapes and colours as on the screen.

import { colours, edgeShape, nodeShape, RADIUS, type Scene } from "./map_scene";

const SVG = "http://www.w3.org/2000/svg";
const MARGIN = 70;

function element(name: string, told: Record<string, string | number>, inside = ""): SVGElement {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(told)) if (value !== "") made.setAttribute(key, typeof value === "number" ? String(Math.round(value * 100) / 100) : value);
  made.textContent = inside;
  return made;
}

/** Every node and every drawn edge, whatever part of them is on the screen. */
export function drawingOf(scene: Scene, theme: Element): SVGSVGElement {
  const look = colours(theme);
  const [xs, ys] = [0, 1].map((odd) => [...scene.places].filter((_, at) => at % 2 === odd)) as [number[], number[]];
  const least = (list: number[]) => list.reduce((low, one) => Math.min(low, one), Infinity);
  const most = (list: number[]) => list.reduce((high, one) => Math.max(high, one), -Infinity);
  const [left, top] = xs.length ? [least(xs) - MARGIN, least(ys) - MARGIN] : [0, 0];
  const [wide, high] = xs.length ? [most(xs) - left + MARGIN, most(ys) - top + MARGIN] : [200, 100];
  const drawing = element("svg", { xmlns: SVG, width: wide, height: high, viewBox: `0 0 ${Math.round(wide)} ${Math.round(high)}` }) as SVGSVGElement;
  const all = element("g", { transform: `translate(${Math.round(-left)},${Math.round(-top)})` });
  drawing.append(element("rect", { width: "100%", height: "100%", fill: look.back }), all);
  const at = (spot: [number, number]) => spot.map((one) => one.toFixed(1)).join(" ");
  for (const edge of scene.edges) {
    const one = edgeShape(scene, edge, look);
    if (!one) continue;
    const line = { fill: "none", stroke: one.colour, "stroke-width": one.width, "stroke-dasharray": one.dash.join(" "), opacity: one.alpha };
    all.append(element("path", { d: `M${at(one.from)}Q${at(one.bend)} ${at(one.to)}`, ...line }));
    all.append(element("path", { d: `M${one.arrow.map(at).join("L")}Z`, fill: one.colour, opacity: one.alpha }));
    for (const stroke of one.cross) all.append(element("path", { d: `M${stroke.map(at).join("L")}`, stroke: one.colour, "stroke-width": 2.5, opacity: one.alpha }));
  }
  const names: SVGElement[] = [];
  scene.told.nodes.forEach((_, number) => {
    const one = nodeShape(scene, number, look, 1);
    if (!one) return;
    const line = { fill: one.fill, stroke: one.line, "stroke-width": one.width, "stroke-dasharray": one.dash.join(" "), opacity: one.alpha };
    all.append(
      one.square
        ? element("rect", { x: one.x - RADIUS, y: one.y - RADIUS, width: 2 * RADIUS, height: 2 * RADIUS, ...line })
        : element("circle", { cx: one.x, cy: one.y, r: RADIUS, ...line }),
    );
    const text = { x: one.x, y: one.y + RADIUS + 12, fill: look.text, "font-size": 11, "font-family": "system-ui, sans-serif", "text-anchor": "middle", opacity: one.alpha };
    names.push(element("text", text, one.label));
  });
  all.append(...names);
  return drawing;
}
