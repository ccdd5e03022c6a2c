// The page: what is above every screen, the screens, the keys.

import { effect } from "@preact/signals";
import { render } from "preact";
import { useEffect, useState } from "preact/hooks";
import { ask, takeToken } from "./ask";
import { Chips, Choices, FilterBar, RangeBar, StatusLine } from "./bars";
import { ExportMenu } from "./export";
import { FindingsScreen } from "./findings";
import { FlowsScreen } from "./flows";
import { Help } from "./help";
import { MapScreen } from "./map";
import { Overview } from "./overview";
import { chips, filter, follow, go, range, SCREENS, screen, shown, status, theme, type Screen } from "./state";
import { plain } from "./text";
import { Who } from "./who";

const TITLES: Record<Screen, string> = { overview: "Overview", map: "Map", who: "Who was", flows: "Flows", findings: "Findings" };
const VIEWS: Record<Screen, () => preact.JSX.Element> = {
  overview: Overview,
  map: MapScreen,
  who: Who,
  flows: FlowsScreen,
  findings: FindingsScreen,
};

function Page() {
  const [help, setHelp] = useState(false);
  const [lost, setLost] = useState("");
  useEffect(() => watchStatus(setLost), []);
  useEffect(() => {
    const press = (event: KeyboardEvent) => key(event, () => setHelp(true));
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  }, []);
  const View = VIEWS[screen.value];
  return (
    <>
      <a class="skip" href="#main">
        to the content
      </a>
      <header class="top">
        <h1>whowas</h1>
        <nav aria-label="Screens">
          {SCREENS.map((one) => (
            <button key={one} type="button" aria-current={screen.value === one ? "page" : undefined} onClick={() => go(one)}>
              {TITLES[one]}
            </button>
          ))}
        </nav>
        <ExportMenu />
        <button type="button" onClick={() => setHelp(true)} aria-label="help">
          ?
        </button>
      </header>
      <div class="above">
        <FilterBar />
        <RangeBar />
        <Choices />
        <Chips />
      </div>
      {lost && (
        <p class="wrong" role="alert">
          {plain(lost)}
        </p>
      )}
      <main id="main">
        <View key={screen.value} />
      </main>
      <footer>
        <StatusLine />
      </footer>
      {help && <Help close={() => setHelp(false)} />}
    </>
  );
}

/** Ask what is served, and again while roll-ups are being made. */
function watchStatus(lost: (why: string) => void): () => void {
  let timer = 0;
  const look = () =>
    void ask("/api/status").then(
      (told) => {
        status.value = told;
        lost("");
        if (told.building) timer = window.setTimeout(look, 1000);
      },
      (error: Error) => {
        lost(error.message);
        timer = window.setTimeout(look, 5000);
      },
    );
  look();
  return () => clearTimeout(timer);
}

function typing(event: KeyboardEvent): boolean {
  return event.target instanceof HTMLElement && Boolean(event.target.closest("input, textarea, select, dialog"));
}

function key(event: KeyboardEvent, help: () => void): void {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Escape" && event.target instanceof HTMLElement && event.target.matches("input")) {
    event.target.blur();
    return;
  }
  if (typing(event) || event.defaultPrevented) return;
  const number = Number(event.key);
  if (event.key === "/") document.getElementById("filter")?.focus();
  else if (event.key === "?") help();
  else if (number >= 1 && number <= SCREENS.length) go(SCREENS[number - 1] as Screen);
  else if (event.key === "0") range.value = null;
  else if ("[]+-".includes(event.key)) step(event.key);
  else if (event.key === "j" || event.key === "k") row(event.key === "j" ? 1 : -1);
  else if (event.key === "Escape") filter.value = chips(filter.value).slice(0, -1).join(" ");
  else return;
  event.preventDefault();
}

function step(key: string): void {
  const now = shown.value;
  if (!now) return;
  const wide = now.until - now.since;
  const [before, after] = { "[": [-0.5, -0.5], "]": [0.5, 0.5], "+": [0.25, -0.25], "-": [-0.5, 0.5] }[key] as [number, number];
  const next = { since: now.since + Math.round(wide * before), until: now.until + Math.round(wide * after) };
  if (next.until - next.since >= 1000) range.value = next;
}

/** Move the focus among the rows of the screen. */
function row(by: number): void {
  const rows = [...document.querySelectorAll<HTMLElement>("main [data-row]")];
  if (!rows.length) return;
  const now = rows.findIndex((one) => one === document.activeElement);
  const next = rows[Math.max(0, Math.min(rows.length - 1, now < 0 ? 0 : now + by))];
  next?.focus();
  next?.scrollIntoView({ block: "nearest" });
}

takeToken();
follow();
theme.value = (localStorage.getItem("whowas-theme") as typeof theme.value | null) ?? "auto";
effect(() => {
  localStorage.setItem("whowas-theme", theme.value);
  document.documentElement.dataset.theme = theme.value;
});
const root = document.getElementById("page");
if (root) render(<Page />, root);
