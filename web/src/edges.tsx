// Edges as a table: on the overview, beside the map, and for whoever cannot see the map.

import type { ComponentChildren } from "preact";
import type { Name } from "./api";
import { BY_WORKLOAD, Count, NameOf, type Grouping } from "./parts";
import { plain, size } from "./text";
import { between } from "./times";

/** What an edge of any answer has. ports: what went over it, in words. count: the conditions of its flows. */
export interface Line {
  src: Name;
  dst: Name;
  ports: ComponentChildren;
  flows: number;
  bytes: number;
  first: number | null;
  last: number | null;
  count: string[];
  change?: string;
  painted?: string;
  loud?: string;
}

/** open: what Enter on a row does. times: whether first and last stand in a column of their own, or in a tip. */
export function EdgeTable(told: { lines: Line[]; times?: boolean; open?: (row: number) => void; how?: Grouping }) {
  const how = told.how ?? BY_WORKLOAD;
  const changes = told.lines.some((one) => one.change);
  const painted = told.lines.some((one) => one.painted);
  return (
    <table>
      <thead>
        <tr>
          <th>from</th>
          <th>to</th>
          <th>ports</th>
          <th class="number">flows</th>
          <th class="number">bytes</th>
          {painted && <th>painted by</th>}
          {told.times && <th>first .. last</th>}
          {changes && <th>change</th>}
        </tr>
      </thead>
      <tbody>
        {told.lines.map((one, row) => (
          <tr
            key={row}
            data-row={told.open ? true : undefined}
            tabIndex={told.open ? 0 : undefined}
            onKeyDown={(event) => {
              if (event.key === "Enter" && event.target === event.currentTarget) told.open?.(row);
            }}
          >
            <td>
              <NameOf name={one.src} side="src" how={how} />
            </td>
            <td>
              <NameOf name={one.dst} side="dst" how={how} />
            </td>
            <td title={between(one.first, one.last)}>{one.ports}</td>
            <td class="number">
              <Count value={one.flows} conditions={one.count} />
            </td>
            <td class="number">{size(one.bytes)}</td>
            {painted && (
              <td>
                {one.loud && <strong class="wrong">{one.loud}: </strong>}
                {plain(one.painted)}
              </td>
            )}
            {told.times && <td>{between(one.first, one.last)}</td>}
            {changes && <td class={one.change}>{one.change}</td>}
          </tr>
        ))}
      </tbody>
    </table>
  );
}
