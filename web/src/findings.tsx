// What next, and why?

import { useState } from "preact/hooks";
import type { FindingRow, Findings, FindingsAsk } from "./api";
import { ask, useAnswer } from "./ask";
import { download } from "./export";
import { One, STATES, STATE_WORDS, type State } from "./one_finding";
import { Pane } from "./parts";
import { own, range, status } from "./state";
import { number, plain, short } from "./text";
import { between } from "./times";

const LEVELS = ["critical", "high", "medium", "low", "informational"];
export function FindingsScreen() {
  const [levels, setLevels] = useState<string[]>([]);
  const [states, setStates] = useState<State[]>(["open"]);
  const [text, setText] = useState("");
  const [again, setAgain] = useState(0);
  const asks: FindingsAsk = { range: range.value, levels, states, text };
  const told = useAnswer("/api/findings", status.value?.findings ? asks : null, again);
  const open = own.value.finding ?? "";
  if (status.value && !status.value.findings)
    return (
      <section class="pane wide">
        <h2>Findings</h2>
        <p>None are served. Make some with whowas backtest, then start whowas serve with --findings FILE.</p>
      </section>
    );
  return (
    <div class="panes">
      <Pane
        title="Findings"
        asked={told}
        wide={!open}
        note={
          <span class="controls">
            <Toggles words={LEVELS} counts={told.answer?.levels ?? {}} chosen={levels} choose={setLevels} />
            <Toggles words={[...STATES]} counts={told.answer?.states ?? {}} chosen={states} choose={(next) => setStates(next as State[])} />
            <button type="button" title="what is listed, with states and notes" onClick={() => void saveListed(told.answer)}>
              JSON
            </button>
            <label>
              text <input value={text} size={14} onInput={(event) => setText(event.currentTarget.value)} />
            </label>
          </span>
        }
      >
        {(answer) => <Queue told={answer} open={open} />}
      </Pane>
      {open && <One key={open} uid={open} changed={() => setAgain(again + 1)} />}
    </div>
  );
}

/** What is listed as a file, each finding with its state and all its notes. */
async function saveListed(told: Findings | null): Promise<void> {
  const whole = [];
  for (const one of told?.findings ?? []) {
    const { row, notes, ocsf } = await ask("/api/finding", { uid: one.uid });
    whole.push({ uid: row.uid, title: row.title, level: row.level, state: row.state, notes, ocsf });
  }
  download(new Blob([JSON.stringify(whole, null, 1)], { type: "application/json" }), "findings.json");
}

function Toggles(told: { words: string[]; counts: Record<string, number>; chosen: string[]; choose: (next: string[]) => void }) {
  return (
    <>
      {told.words.map((one) => (
        <button
          key={one}
          type="button"
          class={`toggle level-${one}`}
          aria-pressed={told.chosen.includes(one)}
          onClick={() => told.choose(told.chosen.includes(one) ? told.chosen.filter((old) => old !== one) : [...told.chosen, one])}
        >
          {one.replace("_", " ")} {number(told.counts[one] ?? 0)}
        </button>
      ))}
    </>
  );
}

function Queue({ told, open }: { told: Findings; open: string }) {
  if (!told.findings.length) return <p class="quiet">No finding matches.</p>;
  return (
    <>
      <table>
        <thead>
          <tr>
            <th>level</th>
            <th>finding</th>
            <th class="number">sure</th>
            <th class="number">flows</th>
            <th>first .. last</th>
            <th>state</th>
          </tr>
        </thead>
        <tbody>
          {told.findings.map((one) => (
            <QueueRow key={one.uid} one={one} open={open === one.uid} />
          ))}
        </tbody>
      </table>
      {told.total > told.findings.length && <p class="quiet">{number(told.total - told.findings.length)} more</p>}
    </>
  );
}

function QueueRow({ one, open }: { one: FindingRow; open: boolean }) {
  const show = () => {
    own.value = { finding: one.uid };
  };
  return (
    <tr data-row tabIndex={0} aria-selected={open} onKeyDown={(event) => event.key === "Enter" && show()}>
      <td>
        <span class={`level level-${one.level}`}>{plain(one.level)}</span>
      </td>
      <td>
        <button type="button" class="link" title={plain(one.title)} onClick={show}>
          {short(one.title)}
        </button>
        <br />
        <span class="quiet">{short(one.message, 120)}</span>
      </td>
      <td class="number">{one.score} %</td>
      <td class="number">{number(one.flows)}</td>
      <td>
        {between(one.first, one.last)}
      </td>
      <td>{STATE_WORDS[one.state]}</td>
    </tr>
  );
}
