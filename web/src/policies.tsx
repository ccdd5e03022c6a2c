// What policies said of what was seen: of one flow, and of the edges of a map. What was denied is said first.

import type { Flow, MapEdge, MapNode, ServiceMap } from "./api";
import { conditionsOf, Copy, Count, NameOf, type Grouping } from "./parts";
import { paintsOf, shownPaint } from "./map_scene";
import { go, narrow } from "./state";
import { condition, number, plain, short } from "./text";

export const VERDICT = "policy_verdict";
const MOST = 20;
const MEANING: Record<string, string> = {
  allowed: "a rule let it pass, or nothing can block it",
  denied: "an end was isolated, and no rule let it pass",
  open: "no policy was about either end",
  indeterminate: "what is known does not decide",
  undefined: "the API does not say",
  unsupported: "a policy decides that is not judged, or that could not be read",
};

/** The condition that leaves the flows of one value of a column; "" is none. */
export function valueCondition(column: string, value: string): string {
  return value ? condition("where", `${column}=${value}`) : `not ${condition("where", `${column}=*`)}`;
}

/** A verdict in words, who decided, why, and the command that walks there again. */
export function FlowPolicies({ told }: { told: Flow }) {
  const verdict = told.row[VERDICT];
  if (typeof verdict !== "string") return null;
  const answered = typeof told.row.bytes_in === "number" && told.row.bytes_in > 0;
  return (
    <>
      <h3>What policies say</h3>
      <p>
        <strong class={verdict === "denied" ? "wrong" : ""}>{verdict === "denied" ? "✕ seen though denied" : plain(verdict)}</strong>:{" "}
        {plain(told.row.policy_reason || (MEANING[verdict] ?? ""))}
      </p>
      {verdict === "denied" && (
        <p class="warn">
          {answered
            ? "It was answered with data: policies are not enforced here, or late, or what is known of them is wrong."
            : "No data came back: an attempt is seen before it is stopped."}
        </p>
      )}
      <dl class="row">
        <Decided name="ingress of the destination" by={told.row.policy_ingress} />
        <Decided name="egress of the source" by={told.row.policy_egress} />
        <div>
          <dt>{plain(verdict)} means</dt>
          <dd>{MEANING[verdict] ?? ""}</dd>
        </div>
      </dl>
      {told.walk.length > 1 && <p class="quiet">The record does not say who opened it: both directions are judged.</p>}
      {told.walk.map((one) => (
        <Copy key={one} label="The walk through every policy, on the command line" text={one} />
      ))}
    </>
  );
}

function Decided({ name, by }: { name: string; by: unknown }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{by ? `decided by ${plain(by)}` : "no policy decided"}</dd>
    </div>
  );
}

/** Is an edge one that policies denied, at least in part? */
export function isDenied(edge: MapEdge): boolean {
  return shownPaint(edge) === "denied";
}

function deniedFlows(edge: MapEdge): number {
  return edge.painted.find(([value]) => value === "denied")?.[1] ?? 0;
}

/** Above the map: pairs that talked though policies denied it. */
export function Denied({ map, how }: { map: ServiceMap; how: Grouping }) {
  const found = map.edges.filter(isDenied);
  if (!found.length) return null;
  const flows = found.reduce((sum, one) => sum + deniedFlows(one), 0);
  return (
    <section class="denied" aria-label="Seen though denied">
      <p>
        <strong class="wrong">✕ seen though denied:</strong> {number(flows)} flows of {number(found.length)} edges.{" "}
        <ValueChip column={VERDICT} value="denied" />{" "}
        <button
          type="button"
          class="link"
          onClick={() => {
            narrow(valueCondition(VERDICT, "denied"));
            go("flows");
          }}
        >
          show these flows
        </button>
      </p>
      <ul class="list">
        {found.slice(0, MOST).map((one, row) => {
          const [src, dst] = [map.nodes[one.src] as MapNode, map.nodes[one.dst] as MapNode];
          const count = [...conditionsOf(src.name, "src", how), ...conditionsOf(dst.name, "dst", how), valueCondition(VERDICT, "denied")];
          return (
            <li key={row}>
              <NameOf name={src.name} side="src" how={how} /> → <NameOf name={dst.name} side="dst" how={how} /> <Count value={deniedFlows(one)} conditions={count} />
            </li>
          );
        })}
      </ul>
      {found.length > MOST && <p class="quiet">{number(found.length - MOST)} more in the table</p>}
    </section>
  );
}

/** A value of a column that narrows by itself, written as the filter writes it. */
export function ValueChip({ column, value }: { column: string; value: string }) {
  const told = valueCondition(column, value);
  return (
    <button type="button" class="chip" title={plain(`narrow to ${told}`)} onClick={() => narrow(told)}>
      {short(told.replace("where=", "where "))}
    </button>
  );
}

/** Values that edges are painted by, with their flows: what was denied first. */
export function paintedFirst(map: ServiceMap): [string, number][] {
  const rank = (value: string) => (value === "denied" ? 0 : value ? 1 : 2);
  return paintsOf(map).sort(([a], [b]) => rank(a) - rank(b));
}
