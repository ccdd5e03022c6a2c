// The filter with its chips, the range, the zone: above every screen.

import { useEffect, useRef, useState } from "preact/hooks";
import { ask, useAnswer } from "./ask";
import { chips, filter, known, measure, range, shown, status, theme } from "./state";
import { number, plain, short, size } from "./text";
import { length, moment, read, rfc3339, zone } from "./times";

/** The place where the filter is typed. `/` goes there. */
export function FilterBar() {
  const [text, setText] = useState(filter.value);
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => setText(filter.value), [filter.value]);
  const checked = useAnswer("/api/check", text ? { filter: text } : null);
  const wrong = text ? (checked.answer?.error ?? "") : "";
  const words = checked.answer?.complete ?? [];
  return (
    <form
      class="filter"
      onSubmit={(event) => {
        event.preventDefault();
        const wanted = text.trim();
        if (checked.answer && !checked.answer.error && checked.of === JSON.stringify({ filter: wanted })) {
          filter.value = wanted;
          return;
        }
        // What is known is of the letters before: it is asked anew.
        void ask("/api/check", { filter: wanted }).then((told) => {
          if (!told.error) filter.value = wanted;
        });
      }}
    >
      <label for="filter">Filter</label>
      <input
        id="filter"
        ref={input}
        value={text}
        list="filter-words"
        autocomplete="off"
        spellcheck={false}
        placeholder="src=shop/web dst=data/db:5432 not protocol=udp"
        aria-invalid={Boolean(wrong)}
        aria-describedby="filter-wrong"
        onInput={(event) => setText(event.currentTarget.value)}
      />
      <datalist id="filter-words">
        {words.slice(0, 40).map((one) => (
          <option key={one} value={`${text.replace(/\S*$/, "")}${one}`} />
        ))}
      </datalist>
      <button type="submit">Apply</button>
      <span id="filter-wrong" class="wrong" role="status">
        {plain(wrong)}
      </span>
    </form>
  );
}

/** One condition each, with a way to drop it and to turn it round. */
export function Chips() {
  const parts = chips(filter.value);
  if (!parts.length) return null;
  const without = (place: number) => parts.filter((_, one) => one !== place);
  const turned = (one: string) => (one.startsWith("not ") ? one.slice(4) : `not ${one}`);
  return (
    <ul class="chips" aria-label="Conditions of the filter">
      {parts.map((one, place) => (
        <li key={one}>
          <button
            type="button"
            title="turn round: leave out what matches, or show it"
            onClick={() => {
              filter.value = parts.map((old, at) => (at === place ? turned(old) : old)).join(" ");
            }}
          >
            {short(one)}
          </button>
          <button
            type="button"
            aria-label={`drop ${plain(one)}`}
            onClick={() => {
              filter.value = without(place).join(" ");
            }}
          >
            ×
          </button>
        </li>
      ))}
      <li>
        <button
          type="button"
          class="link"
          onClick={() => {
            filter.value = "";
          }}
        >
          drop all
        </button>
      </li>
    </ul>
  );
}

/** From and until, and steps through time. */
export function RangeBar() {
  const now = shown.value;
  const [since, setSince] = useState("");
  const [until, setUntil] = useState("");
  useEffect(() => {
    setSince(now ? rfc3339(now.since) : "");
    setUntil(now ? rfc3339(now.until) : "");
  }, [now?.since, now?.until]);
  const [from, to] = [read(since), read(until)];
  const right = from !== null && to !== null && from < to;
  const move = (part: number) => {
    if (!now) return;
    const by = Math.round((now.until - now.since) * part);
    range.value = { since: now.since + by, until: now.until + by };
  };
  const zoom = (part: number) => {
    if (!now) return;
    const by = Math.round(((now.until - now.since) * part) / 2);
    if (now.until - now.since - 2 * by >= 1000) range.value = { since: now.since + by, until: now.until - by };
  };
  return (
    <form
      class="range"
      onSubmit={(event) => {
        event.preventDefault();
        if (right) range.value = { since: from, until: to };
      }}
    >
      <label>
        from <input value={since} size={21} aria-invalid={!right} onInput={(event) => setSince(event.currentTarget.value)} />
      </label>
      <label>
        until <input value={until} size={21} aria-invalid={!right} onInput={(event) => setUntil(event.currentTarget.value)} />
      </label>
      <button type="submit" disabled={!right}>
        Set
      </button>
      <button type="button" aria-label="earlier" onClick={() => move(-0.5)}>
        ←
      </button>
      <button type="button" aria-label="later" onClick={() => move(0.5)}>
        →
      </button>
      <button type="button" aria-label="closer" onClick={() => zoom(0.5)}>
        +
      </button>
      <button type="button" aria-label="wider" onClick={() => zoom(-1)}>
        −
      </button>
      {now && <span class="quiet">{length(now.until - now.since)}</span>}
    </form>
  );
}

/** What is counted, in which zone, how it looks. */
export function Choices() {
  const [where, setWhere] = useState(zone.value);
  return (
    <div class="choices">
      <label>
        count{" "}
        <select
          value={measure.value}
          onChange={(event) => {
            measure.value = event.currentTarget.value as typeof measure.value;
          }}
        >
          <option value="flows">flows</option>
          <option value="bytes">bytes</option>
          <option value="packets">packets</option>
        </select>
      </label>
      <label>
        times in{" "}
        <input
          value={where}
          size={14}
          list="zones"
          aria-invalid={!known(where)}
          onInput={(event) => {
            setWhere(event.currentTarget.value);
            if (known(event.currentTarget.value)) zone.value = event.currentTarget.value;
          }}
        />
        <datalist id="zones">
          {["UTC", Intl.DateTimeFormat().resolvedOptions().timeZone].map((one) => (
            <option key={one} value={one} />
          ))}
        </datalist>
      </label>
      <label>
        theme{" "}
        <select
          value={theme.value}
          onChange={(event) => {
            theme.value = event.currentTarget.value as typeof theme.value;
          }}
        >
          <option value="auto">as the system</option>
          <option value="dark">dark</option>
          <option value="light">light</option>
        </select>
      </label>
    </div>
  );
}

/** What is served, and what of it is ready. */
export function StatusLine() {
  const told = status.value;
  if (!told) return <p class="status quiet">asking the server …</p>;
  return (
    <p class="status quiet">
      whowas {plain(told.version)} · {short(told.folder)} · {number(told.flows)} flows, {size(told.bytes)} in {number(told.hours)} h
      {told.ready < told.hours && (
        <span class="warn">
          {" "}
          · {number(told.ready)} of {number(told.hours)} hours are ready{told.building ? ", more are being made" : ""}
        </span>
      )}
      {told.unreadable.length > 0 && (
        <span class="warn" title={told.unreadable.map(([file, why]) => `${plain(file)}: ${plain(why)}`).join("\n")}>
          {" "}
          · {told.unreadable.length} files cannot be read
        </span>
      )}
      {" · "}
      {told.since !== null && `${moment(told.since)} .. ${moment(told.until)} ${zone.value}`}
    </p>
  );
}
