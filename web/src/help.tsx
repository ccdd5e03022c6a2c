// What the keys do.

import { useEffect, useRef } from "preact/hooks";

const KEYS: [string, string][] = [
  ["/", "type a filter"],
  ["1 … 5", "overview, map, who was, flows, findings"],
  ["j, k", "next and previous row"],
  ["Enter", "open the row"],
  ["[ and ]", "earlier and later"],
  ["+ and −", "closer and wider"],
  ["0", "the whole time"],
  ["Esc", "close what is open; then drop the last condition"],
  ["?", "this help"],
];

export function Help({ close }: { close: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog ref={dialog} onClose={close} aria-labelledby="help-title">
      <h2 id="help-title">Keys</h2>
      <dl>
        {KEYS.map(([key, what]) => (
          <div key={key}>
            <dt>
              <kbd>{key}</kbd>
            </dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
      <p>
        A filter is made of words: <code>src=</code>, <code>dst=</code>, <code>end=</code> (either), <code>port=</code>, <code>protocol=</code>,{" "}
        <code>label=app=web</code>, <code>confidence=</code>, <code>where=column=value</code>; <code>not</code> before a word leaves out. Values of
        one word are alternatives. <code>whowas flows</code> takes the same words.
      </p>
      <button type="button" onClick={() => dialog.current?.close()}>
        Close
      </button>
    </dialog>
  );
}
