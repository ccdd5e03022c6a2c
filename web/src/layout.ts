// Places for the nodes of a map, in a worker: fixed beginning, fixed number of steps, so the same map looks the same.

import { forceCollide, forceLink, forceManyBody, forceSimulation, forceX, forceY, type SimulationNodeDatum } from "d3-force";

export interface LayoutAsk {
  count: number;
  /** pairs of places, and a weight of 0 to 1 for each */
  edges: [number, number, number][];
  /** which group each node is in: groups draw together */
  groups: number[];
}

interface Spot extends SimulationNodeDatum {
  group: number;
}

const TICKS = 90;
const GOLDEN = Math.PI * (3 - Math.sqrt(5));

/** x and y of each node, around 0. */
export function layout(asked: LayoutAsk): Float32Array {
  const spots: Spot[] = asked.groups.map((group, at) => {
    const far = 24 * Math.sqrt(at + 1);
    return { group, x: far * Math.cos(at * GOLDEN), y: far * Math.sin(at * GOLDEN) };
  });
  const groups = Math.max(1, ...asked.groups.map((one) => one + 1));
  const ring = groups > 1 ? 60 * Math.sqrt(asked.count) : 0;
  const centre = (spot: Spot) => (2 * Math.PI * spot.group) / groups;
  const links = asked.edges.map(([source, target, weight]) => ({ source, target, weight }));
  forceSimulation(spots)
    .force("charge", forceManyBody<Spot>().strength(-160).distanceMax(600))
    .force("link", forceLink<Spot, (typeof links)[number]>(links).distance(90).strength((one) => 0.04 + 0.3 * one.weight))
    .force("collide", forceCollide<Spot>(34).iterations(2))
    .force("x", forceX<Spot>((spot) => ring * Math.cos(centre(spot))).strength(0.08))
    .force("y", forceY<Spot>((spot) => ring * Math.sin(centre(spot))).strength(0.1))
    .stop()
    .tick(TICKS);
  return Float32Array.from(spots.flatMap((spot) => [spot.x ?? 0, spot.y ?? 0]));
}
