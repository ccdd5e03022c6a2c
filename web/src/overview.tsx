// What is unusual in this range?

import type { Changes, Edge, Ends, Findings, Gaps, Name, Overview as Told, Talkers } from "./api";
import { useAnswer, type Asked } from "./ask";
import { EdgeTable, type Line } from "./edges";
import { bucketOf, TimeChart } from "./histogram";
import { conditionsOf, Confidence, Count, Pane } from "./parts";
import { go, measure, narrow, question, range, shown, status } from "./state";
import { condition, number, plain, short } from "./text";
import { between, moment } from "./times";

export function Overview() {
  const again = status.value?.ready ?? 0;
  const asks = question.value;
  const by = measure.value;
  // The status comes first: it says which time is shown, and with which bucket.
  const told = useAnswer("/api/overview", status.value ? { ...asks, by, limit: 12, bucket: bucketOf(shown.value) } : null, again);
  const gaps = useAnswer("/api/gaps", status.value?.history ? asks : null);
  const findings = useAnswer("/api/findings", status.value?.findings ? { range: asks.range ?? null, limit: 8 } : null);
  return (
    <div class="panes">
      <Pane title={by === "bytes" ? "Bytes over time" : "Flows over time"} asked={part(told, "histogram")} wide note={<ZoomOut />}>
        {(told) =>
          shown.value ? (
            <TimeChart
              histogram={told}
              shown={shown.value}
              bytes={by === "bytes"}
              gaps={gaps.answer?.gaps ?? []}
              choose={(chosen) => {
                range.value = chosen;
              }}
            />
          ) : (
            <p class="quiet">There are no flows here.</p>
          )
        }
      </Pane>
      <Pane title="How sure the ends are" asked={part(told, "ends")}>
        {(told) => <EndsTable told={told} />}
      </Pane>
      <Pane title="Top talkers" asked={part(told, "talkers")}>
        {(told) => <TalkersTable told={told} />}
      </Pane>
      <Pane title="New since the range before" asked={part(told, "changes")}>
        {(told) => <ChangesTable told={told} />}
      </Pane>
      {findings.answer || findings.error ? (
        <Pane title="Findings" asked={findings}>
          {(told) => <FindingsList told={told} />}
        </Pane>
      ) : (
        <section class="pane">
          <header>
            <h2>Findings</h2>
          </header>
          <p class="quiet">None are served. Make some with whowas backtest, and give --findings.</p>
        </section>
      )}
      {gaps.answer && <GapsPane told={gaps.answer} />}
    </div>
  );
}

/** What one pane shows of the answer to all. */
function part<P extends keyof Told>(told: Asked<Told>, name: P): Asked<Told[P]> {
  return { ...told, answer: told.answer && told.answer[name], waiting: told.waiting || !status.value };
}

function ZoomOut() {
  if (!range.value) return <span class="hint">drag to choose a range</span>;
  return (
    <button
      type="button"
      onClick={() => {
        range.value = null;
      }}
    >
      whole time
    </button>
  );
}

function EndsTable({ told }: { told: Ends }) {
  const words = status.value?.confidences ?? [...new Set(told.confidence)];
  const of = (side: string, word: string) =>
    told.flows.reduce((sum, one, row) => sum + (told.side[row] === side && told.confidence[row] === word ? one : 0), 0);
  const rows = words.map((word) => ({ word, src: of("src", word), dst: of("dst", word) })).filter((one) => one.src + one.dst);
  const all = rows.reduce((sum, one) => sum + one.src + one.dst, 0) || 1;
  return (
    <table>
      <thead>
        <tr>
          <th>word</th>
          <th class="number">share of ends</th>
          <th class="number">sources</th>
          <th class="number">destinations</th>
        </tr>
      </thead>
      <tbody>
        {rows.map(({ word, src, dst }) => (
          <tr key={word}>
            <td>
              <Confidence word={word} />
            </td>
            <td class="number">{((100 * (src + dst)) / all).toFixed(1)} %</td>
            <td class="number">
              <Count value={src} conditions={[condition("where", `src_confidence=${word}`)]} />
            </td>
            <td class="number">
              <Count value={dst} conditions={[condition("where", `dst_confidence=${word}`)]} />
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** Its port and protocol. An edge without a port is of a protocol that has none. */
function linkOf(edge: Edge): string[] {
  const found = edge.protocol ? [condition("where", `protocol=${edge.protocol}`)] : [];
  // Of dst alone: roll-ups know no ports of sources.
  return edge.port === null ? found : [condition("dst", `:${edge.port}`), ...found];
}

function flowsOf(edge: Edge | undefined, names: Name[]): void {
  for (const line of edge ? linesOf([edge], names) : []) for (const one of line.count) narrow(one);
  go("flows");
}

function linesOf(edges: Edge[], names: Name[]): Line[] {
  return edges.flatMap((edge) => {
    const [src, dst] = [names[edge.src], names[edge.dst]];
    if (!src || !dst) return [];
    const ports = `${plain(edge.protocol)}${edge.port === null ? "" : ` ${edge.port}`}`;
    return [{ src, dst, ports, flows: edge.flows, bytes: edge.bytes, first: edge.first, last: edge.last, count: [...conditionsOf(src, "src"), ...conditionsOf(dst, "dst"), ...linkOf(edge)] }];
  });
}

function TalkersTable({ told }: { told: Talkers }) {
  if (!told.edges.length) return <p class="quiet">No flows in this range.</p>;
  return (
    <>
      <EdgeTable lines={linesOf(told.edges, told.names)} open={(row) => flowsOf(told.edges[row], told.names)} />
      {told.left_out > 0 && <p class="quiet">{number(told.left_out)} more pairs are not shown.</p>}
    </>
  );
}

function ChangesTable({ told }: { told: Changes }) {
  if (!told.baseline_ready) return <p class="quiet">Nothing is known of the range before: everything would seem new.</p>;
  const before = between(told.baseline.since, told.baseline.until);
  return (
    <>
      {told.new.length ? <EdgeTable lines={linesOf(told.new, told.names)} open={(row) => flowsOf(told.new[row], told.names)} /> : <p class="quiet">No new pair.</p>}
      <p class="quiet">
        compared with {before}: {number(told.new.length + told.new_left_out)} new, {number(told.gone.length + told.gone_left_out)} gone
      </p>
    </>
  );
}

function FindingsList({ told }: { told: Findings }) {
  if (!told.findings.length) return <p class="quiet">No finding in this range.</p>;
  const levels = Object.entries(told.levels).filter(([, count]) => count > 0);
  return (
    <ul class="list">
      <li class="levels">
        {levels.map(([level, count]) => (
          <span key={level} class={`level level-${level}`}>
            {plain(level)} {number(count)}{" "}
          </span>
        ))}
      </li>
      {told.findings.map((one) => (
        <li key={one.uid}>
          <span class={`level level-${one.level}`}>{plain(one.level)}</span>{" "}
          <button type="button" class="link" onClick={() => go("findings", { finding: one.uid })}>
            {short(one.title)}
          </button>{" "}
          <span class="quiet">{moment(one.first)}</span>
        </li>
      ))}
    </ul>
  );
}

function GapsPane({ told }: { told: Gaps }) {
  if (!told.gaps.length) return null;
  return (
    <section class="pane">
      <header>
        <h2>When nobody was looking</h2>
      </header>
      <ul class="list">
        {told.gaps.slice(0, 12).map((gap, place) => (
          <li key={place}>
            {between(gap.since, gap.until)} <span class="quiet">{plain(gap.why)}</span>
          </li>
        ))}
      </ul>
      {told.gaps.length > 12 && <p class="quiet">{told.gaps.length - 12} more</p>}
    </section>
  );
}
