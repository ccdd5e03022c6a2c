// What is seen, to take along: a file, the SQL behind it, the command, a rule to begin with.

import { useEffect, useRef, useState } from "preact/hooks";
import { askFile, useAnswer } from "./ask";
import { Copy } from "./parts";
import { own, question, status } from "./state";
import { number, plain } from "./text";

const FORMS = ["csv", "jsonl", "parquet"] as const;

export function ExportMenu() {
  const [open, setOpen] = useState(false);
  return (
    <>
      <button type="button" onClick={() => setOpen(true)}>
        Report, export
      </button>
      {open && <ExportDialog close={() => setOpen(false)} />}
    </>
  );
}

function ExportDialog({ close }: { close: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  const commands = useAnswer("/api/commands", question.value);
  const [told, setTold] = useState("");
  return (
    <dialog ref={dialog} onClose={close} aria-labelledby="export-title" class="broad">
      <h2 id="export-title">Take along what is seen</h2>
      <p>
        <ReportButton finding={own.value.finding ?? ""} />{" "}
        <span class="quiet">one file to send: it opens without whowas, network or scripts</span>
      </p>
      <p>
        {FORMS.map((form) => (
          <button key={form} type="button" onClick={() => void save(form, setTold)}>
            {form.toUpperCase()}
          </button>
        ))}{" "}
        <span class="quiet">at most {number(status.value?.export_limit ?? 0)} flows</span>
      </p>
      {told && <p role="status">{plain(told)}</p>}
      {commands.answer && (
        <>
          <Copy label="The report on the command line" text={commands.answer.report} />
          <Copy label="The same flows on the command line" text={commands.answer.cli} />
          <Copy label="The same in SQL" text={commands.answer.sql} />
          {commands.answer.sigma && <Copy label="A Sigma rule to begin with; whowas rules check takes it as it is" text={commands.answer.sigma} />}
        </>
      )}
      <button type="button" onClick={() => dialog.current?.close()}>
        Close
      </button>
    </dialog>
  );
}

/** Save a report of what is looked at, or of a finding. */
export function ReportButton({ finding }: { finding: string }) {
  const [told, setTold] = useState("");
  const [waiting, setWaiting] = useState(false);
  const save_ = async () => {
    setWaiting(true);
    setTold("making the report …");
    try {
      // Of a finding it chooses its own flows and time, as the command does.
      const answer = await askFile("/api/report", finding ? { finding } : question.value);
      download(await answer.blob(), "report.html");
      setTold("saved as report.html");
    } catch (error) {
      setTold(error instanceof Error ? error.message : String(error));
    }
    setWaiting(false);
  };
  return (
    <>
      <button type="button" disabled={waiting} onClick={() => void save_()}>
        {finding ? "Report of this finding" : "Report"}
      </button>{" "}
      <span role="status">{plain(told)}</span>
    </>
  );
}

async function save(format: (typeof FORMS)[number], say: (text: string) => void): Promise<void> {
  say("asking …");
  try {
    const answer = await askFile("/api/export", { ...question.value, format, limit: status.value?.export_limit ?? 100_000 });
    const partial = answer.headers.get("X-Whowas-Partial");
    download(await answer.blob(), `flows.${format}`);
    say(partial ? `saved in part: ${partial}` : "saved");
  } catch (error) {
    say(error instanceof Error ? error.message : String(error));
  }
}

/** Hand a file to the browser. */
export function download(content: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
