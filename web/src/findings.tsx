// What next, and why?

import { useState } from "preact/hooks";
import type { Finding, FindingRow, Findings, FindingsAsk } from "./api";
import { ask, Refused, useAnswer } from "./ask";
import { Copy, Pane, useArrival } from "./parts";
import { go, own, range, status } from "./state";
import { number, plain, short } from "./text";
import { between, moment } from "./times";

const LEVELS = ["critical", "high", "medium", "low", "informational"];
const STATES = ["open", "closed", "false_positive"] as const;
type State = (typeof STATES)[number];
const STATE_WORDS: Record<State, string> = { open: "open", closed: "closed", false_positive: "false positive" };

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

function One({ uid, changed }: { uid: string; changed: () => void }) {
  const [again, setAgain] = useState(0);
  const told = useAnswer("/api/finding", { uid }, again);
  const box = useArrival<HTMLElement>();
  return (
    <section ref={box} tabIndex={-1} class="pane" aria-label="One finding" aria-busy={told.waiting}>
      <header>
        <h2>{told.answer ? short(told.answer.row.title) : "Finding"}</h2>
        <button
          type="button"
          onClick={() => {
            own.value = {};
          }}
        >
          Close
        </button>
      </header>
      {told.error && <p class="wrong">{plain(told.error.message)}</p>}
      {told.answer && (
        <>
          <Whole told={told.answer} />
          <Notes
            told={told.answer}
            changed={() => {
              setAgain(again + 1);
              changed();
            }}
          />
        </>
      )}
    </section>
  );
}

function Whole({ told }: { told: Finding }) {
  const { row } = told;
  return (
    <>
      <p>{plain(row.message)}</p>
      <p class="quiet">
        {plain(row.rule)} · {between(row.first, row.last)} · {number(row.flows)} flows
      </p>
      {told.attack.length > 0 && <p>ATT&amp;CK: {plain(told.attack.join(", "))}</p>}
      <p>
        <button
          type="button"
          onClick={() => {
            range.value = { since: row.first - 1_000_000, until: row.last + 1_000_000 };
            go("flows");
          }}
        >
          flows of its time
        </button>
      </p>
      {told.false_positives.length > 0 && (
        <>
          <h3>When it is nothing</h3>
          <ul class="list">
            {told.false_positives.map((one) => (
              <li key={one}>{plain(one)}</li>
            ))}
          </ul>
        </>
      )}
      {told.commands.length > 0 && <h3>What to do next</h3>}
      {told.commands.map((one) => (
        <Copy key={one} label="To copy; nothing is run here" text={one} />
      ))}
      <details>
        <summary>As OCSF</summary>
        <Copy label="JSON" text={JSON.stringify(told.ocsf, null, 1)} />
      </details>
    </>
  );
}

function Notes({ told, changed }: { told: Finding; changed: () => void }) {
  const [state, setState] = useState<State>(told.row.state);
  const [text, setText] = useState("");
  const [author, setAuthor] = useState(localStorage.getItem("whowas-author") ?? "");
  const [wrong, setWrong] = useState("");
  const save = () => {
    localStorage.setItem("whowas-author", author);
    ask("/api/note", { uid: told.row.uid, revision: told.row.revision, state, text, author }).then(
      () => {
        setText("");
        setWrong("");
        changed();
      },
      (error: Error) => {
        const late = error instanceof Refused && error.status === 409;
        setWrong(late ? "Somebody wrote in between: read what is there now, and save again. Your text is still here." : error.message);
        if (late) changed();
      },
    );
  };
  return (
    <>
      <h3>Notes</h3>
      <ul class="list">
        {told.notes.map((one) => (
          <li key={one.revision}>
            <span class="quiet">
              {moment(one.time)} {plain(one.author || "somebody")}
            </span>{" "}
            {STATE_WORDS[one.state]}: {plain(one.text)}
          </li>
        ))}
      </ul>
      <form
        class="note"
        onSubmit={(event) => {
          event.preventDefault();
          save();
        }}
      >
        <label>
          state{" "}
          <select value={state} onChange={(event) => setState(event.currentTarget.value as State)}>
            {STATES.map((one) => (
              <option key={one} value={one}>
                {STATE_WORDS[one]}
              </option>
            ))}
          </select>
        </label>
        <label>
          your name <input value={author} size={14} onInput={(event) => setAuthor(event.currentTarget.value)} />
        </label>
        <label>
          note <textarea value={text} rows={3} maxLength={10_000} onInput={(event) => setText(event.currentTarget.value)} />
        </label>
        <button type="submit" disabled={!status.value?.notes}>
          Save
        </button>
        {wrong && (
          <p class="wrong" role="alert">
            {plain(wrong)}
          </p>
        )}
      </form>
    </>
  );
}
