// Made by web/generate.py from whowas/workbench/api: change it there.

/**
 * How an answer came about.
 *
 * source: rollups (fast), flows (slow, said to the user), history, findings. hours: that the range touches; ready: of
 * these, in the answer. partial: why the answer is not whole ("" = it is): an hour that is not built yet, a limit.
 * milliseconds: it took.
 */
export interface About {
  source: "findings" | "flows" | "history" | "none" | "rollups";
  hours: number;
  ready: number;
  partial: string;
  milliseconds: number;
}

/**
 * Edges that are new, and edges of the baseline that are gone, heaviest first; left_out of each.
 *
 * Same edge: same names with the same confidences, port and protocol. baseline_ready: hours of the baseline in the
 * answer, of baseline_hours: with none, everything would seem new, so nothing is said then.
 */
export interface Changes {
  about: About;
  baseline: TimeRange;
  baseline_hours: number;
  baseline_ready: number;
  names: Name[];
  new: Edge[];
  gone: Edge[];
  new_left_out: number;
  gone_left_out: number;
}

/**
 * Edges of the range that were not in `baseline` (null = as long a range just before).
 */
export interface ChangesAsk {
  filter?: string;
  range?: TimeRange | null;
  by?: "bytes" | "flows" | "packets";
  limit?: number;
  baseline?: TimeRange | null;
}

/**
 * A filter as it is typed.
 */
export interface Check {
  filter: string;
}

/**
 * error: "" when it is right; at: where it is wrong. columns: it reads; fast: roll-ups can answer it.
 *
 * complete: words that may stand at the end of what was typed.
 */
export interface Checked {
  error: string;
  at: number | null;
  columns: string[];
  fast: boolean;
  complete: string[];
}

/**
 * One column of a flow. words: all it can hold, where that is a closed list. fast: roll-ups have it.
 */
export interface ColumnInfo {
  name: string;
  type: string;
  unit: string;
  meaning: string;
  words: string[];
  fast: boolean;
}

/**
 * The same filter and range elsewhere.
 *
 * sql: for `whowas query`; cli: the line of `whowas flows`; report: that of `whowas report`; sigma: a rule drafted.
 */
export interface Commands {
  sql: string;
  cli: string;
  report: string;
  sigma: string;
}

/**
 * Flows from one group of ends to another.
 *
 * src, dst: places in `names` of the answer. port: of dst, null where it has none or where ports are folded.
 * first, last: start of the first and last flow.
 */
export interface Edge {
  src: number;
  dst: number;
  port: number | null;
  protocol: string;
  direction: string;
  flows: number;
  bytes: number;
  packets: number;
  first: number | null;
  last: number | null;
}

/**
 * How sure the ends are. Each flow counts twice, once as src and once as dst.
 */
export interface Ends {
  about: About;
  side: ("dst" | "src")[];
  confidence: string[];
  flows: number[];
  bytes: number[];
}

/**
 * Everything that was said of the holders of the first lanes. left_out: lines. restarts: lane is that of Who.
 *
 * unsaid: lanes whose evidence was not looked for. command: that explains the same.
 */
export interface Evidence {
  about: About;
  lines: EvidenceLine[];
  left_out: number;
  restarts: LaneEvent[];
  unsaid: number;
  command: string;
}

/**
 * What was said of the holders of an answer of Who: the same question, for the evidence behind it.
 */
export interface EvidenceAsk {
  what?: string;
  cluster?: string | null;
  range?: TimeRange | null;
  limit?: number;
}

/**
 * One sight of one object. time: when it was received, null: nobody wrote that down. says: in words.
 */
export interface EvidenceLine {
  uid: string;
  name: string;
  time: number | null;
  verb: string;
  says: string;
  source: string;
}

/**
 * The flows of a filter as a file. limit: rows; About.partial stands in the header X-Whowas-Partial.
 */
export interface ExportAsk {
  filter?: string;
  range?: TimeRange | null;
  columns?: string[];
  cursor?: string;
  oldest_first?: boolean;
  limit?: number;
  format?: "csv" | "jsonl" | "parquet";
}

/**
 * Values of one column; null stands for none. A name comes once for each confidence it has (names alone).
 */
export interface Facet {
  column: string;
  values: unknown[];
  confidence: (string | null)[];
  flows: number[];
  bytes: number[];
  more: number;
  skipped: string;
}

/**
 * One facet a column. skipped: why it is not there (the time limit); more: values that are not shown.
 */
export interface Facets {
  about: About;
  facets: Facet[];
}

/**
 * How often each value of some columns comes, most frequent first.
 */
export interface FacetsAsk {
  filter?: string;
  range?: TimeRange | null;
  columns?: string[];
  by?: "bytes" | "flows" | "packets";
  limit?: number;
}

/**
 * One finding whole. ocsf: as OCSF has it (times in ms). commands: to copy, never run. notes: oldest first.
 */
export interface Finding {
  row: FindingRow;
  ocsf: Record<string, unknown>;
  flow_ids: string[];
  attack: string[];
  false_positives: string[];
  commands: string[];
  notes: Note[];
}

/**
 * One finding.
 */
export interface FindingAsk {
  uid: string;
}

/**
 * One finding in a list. score: confidence of 100. flows: that match; state, revision: by the newest note.
 */
export interface FindingRow {
  uid: string;
  title: string;
  rule: string;
  level: string;
  score: number;
  first: number;
  last: number;
  flows: number;
  message: string;
  state: "closed" | "false_positive" | "open";
  revision: number;
}

/**
 * Worst level first, then surest, then newest. levels, states: number by each, of all that match but for itself.
 */
export interface Findings {
  about: About;
  levels: Record<string, number>;
  states: Record<string, number>;
  findings: FindingRow[];
  total: number;
}

/**
 * Findings that overlap a range. levels, states: [] = all. text: in title, rule, uid or names.
 */
export interface FindingsAsk {
  range?: TimeRange | null;
  levels?: string[];
  states?: ("closed" | "false_positive" | "open")[];
  text?: string;
  limit?: number;
  offset?: number;
}

/**
 * The whole row: times as RFC 3339, bytes as hex, labels as an object. commands: that reproduce it.
 *
 * walk: commands that walk through the policies which decided; none where nothing was judged.
 */
export interface Flow {
  row: Record<string, unknown>;
  commands: string[];
  walk: string[];
}

/**
 * One flow, by the hour and the id that a page told.
 */
export interface FlowAsk {
  hour: string;
  flow_id: string;
}

/**
 * values[c][r]: column c of row r; times are us, addresses text, nested values JSON. hour: of each row, for /flow.
 *
 * cursor: of the next page, "" when there is none. searched_until: flows beyond it were not looked at, since the time
 * for a page was over: ask again with the cursor.
 */
export interface Flows {
  about: About;
  columns: string[];
  values: unknown[][];
  flow_id: string[];
  hour: string[];
  cursor: string;
  searched_until: number | null;
}

/**
 * A page of flows, newest first (or oldest first). columns: of Status.columns ([] = the usual ones).
 *
 * cursor: of the page before. limit: rows.
 */
export interface FlowsAsk {
  filter?: string;
  range?: TimeRange | null;
  columns?: string[];
  cursor?: string;
  oldest_first?: boolean;
  limit?: number;
}

/**
 * A time in which a cluster was not watched: nothing that happened then was seen. null: without an end.
 */
export interface Gap {
  cluster: string;
  kind: string;
  since: number | null;
  until: number | null;
  why: string;
}

/**
 * gaps: of the history within the range. known_until: what came later has not been told yet, by cluster.
 */
export interface Gaps {
  about: About;
  gaps: Gap[];
  known_until: Record<string, number>;
}

/**
 * Flows over time. Row i: bucket that starts at time[i], of flows whose weaker end has confidence[i].
 *
 * The weaker end is the one whose word stands later in Status.confidences. Buckets without flows have no row.
 * untimed: flows without a start; they are in no range and in no bucket.
 */
export interface Histogram {
  about: About;
  bucket: number;
  time: number[];
  confidence: string[];
  flows: number[];
  bytes: number[];
  untimed: number;
}

/**
 * bucket: us; null chooses one (1 min to 2 h, 10 min to 2 days, 1 h to 30 days, else 1 day).
 *
 * Roll-ups know 10 min and more: below that flows are read.
 */
export interface HistogramAsk {
  filter?: string;
  range?: TimeRange | null;
  bucket?: number | null;
}

/**
 * Who it was at the moment asked. holder: place in `candidates` of the one that is named, null: nobody is.
 */
export interface Judged {
  at: number;
  confidence: string;
  reason: string;
  network: string;
  holder: Lane | null;
  candidates: Lane[];
  candidate_reasons: string[];
}

/**
 * One holder of one address. Begins in [start_min, start_max), ends in [end_min, end_max); null = open.
 *
 * Certain from start_max to end_min, where that is later; before and after it is possible alone (draw it fuzzy).
 * conflict: the evidence contradicts itself. source: what told it.
 */
export interface Lane {
  cluster: string;
  address: string;
  kind: string;
  namespace: string;
  name: string;
  uid: string;
  workload: string;
  workload_kind: string;
  node: string;
  zone: string;
  start_min: number | null;
  start_max: number | null;
  end_min: number | null;
  end_max: number | null;
  conflict: boolean;
  labels: Record<string, string>;
  services: string;
  images: string[];
  service_account: string;
  source: string;
}

/**
 * What happened to a lane's holder, at some time from `time` to `until` (both the same: then). lane: in Who.lanes.
 *
 * started, ended: the hold; restarted: a container (Evidence tells of these); policy_*: a NetworkPolicy whose selector
 * chose it, or may have; others: what changed, from what to what.
 */
export interface LaneEvent {
  lane: number;
  time: number;
  until: number;
  what: "ended" | "images" | "labels" | "policy_changed" | "policy_created" | "policy_deleted" | "restarted" | "services" | "started";
  before: string;
  after: string;
}

/**
 * by: what a node of the map is; label: its key for by "label". ports: an edge a port, else ports are folded.
 *
 * baseline: marks edges as new, and tells those that are gone. limit: edges, heaviest by `measure`;
 * painted by a verdict those with denied flows come first.
 * paint: of Status.paints: edges tell how many of their flows have each of its values ("" = none is asked).
 */
export interface MapAsk {
  filter?: string;
  range?: TimeRange | null;
  by?: "label" | "namespace" | "node" | "pod" | "workload";
  label?: string;
  ports?: boolean;
  measure?: "bytes" | "flows" | "packets";
  baseline?: TimeRange | null;
  limit?: number;
  paint?: string;
}

/**
 * Flows from node src to node dst (places in ServiceMap.nodes).
 *
 * ports: [protocol, port of dst, flows], at most 20, heaviest first; more_ports: left out. worst: the weaker of both
 * nodes' confidences. change: against the baseline ("" = in both, or no baseline was asked for). painted: [value of
 * the column that was asked for ("" = none is told), flows], most flows first.
 */
export interface MapEdge {
  src: number;
  dst: number;
  flows: number;
  bytes: number;
  packets: number;
  ports: ([string, number | null, number])[];
  more_ports: number;
  worst: string;
  direction: string;
  first: number | null;
  last: number | null;
  change: "" | "gone" | "new";
  painted: ([string, number])[];
}

/**
 * One group of ends. flows, bytes: of all its edges, shown or not; inside: flows within it (src = dst).
 */
export interface MapNode {
  name: Name;
  flows: number;
  bytes: number;
  inside: number;
}

/**
 * Who a group of ends is. Empty text: none, or not told. A label's or node's group has its text in `name`.
 *
 * Two clusters may have one name: they stay apart, as ends of two confidences do.
 */
export interface Name {
  cluster: string;
  kind: string;
  namespace: string;
  name: string;
  name_kind: string;
  confidence: string;
}

/**
 * One thing that somebody wrote: a state, a note, or both. author: as they called themselves, not proven.
 */
export interface Note {
  revision: number;
  time: number;
  author: string;
  state: "closed" | "false_positive" | "open";
  text: string;
}

/**
 * Write a state or a note. revision: of the newest note that was seen (0 = none), so that none is overwritten.
 */
export interface NoteAsk {
  uid: string;
  revision: number;
  state: "closed" | "false_positive" | "open";
  text?: string;
  author?: string;
}

/**
 * All that is written about a finding, oldest first.
 */
export interface Noted {
  uid: string;
  revision: number;
  state: "closed" | "false_positive" | "open";
  notes: Note[];
}

/**
 * What each pane shows; as if each had been asked for by itself.
 */
export interface Overview {
  histogram: Histogram;
  ends: Ends;
  talkers: Talkers;
  changes: Changes;
}

/**
 * All panes of the overview in one question. bucket: as of HistogramAsk. by, limit: of edges.
 */
export interface OverviewAsk {
  filter?: string;
  range?: TimeRange | null;
  by?: "bytes" | "flows" | "packets";
  limit?: number;
  bucket?: number | null;
}

/**
 * Why there is no answer, in words for people. at: offset in the filter, where that is what is wrong.
 */
export interface Problem {
  error: string;
  at: number | null;
}

/**
 * Which flows: a filter in the words of `whowas query` ("" = all), and a range (null = all times).
 */
export interface Question {
  filter?: string;
  range?: TimeRange | null;
}

/**
 * One self-contained file about the flows of a filter, or about a finding, as `whowas report` writes it.
 */
export interface ReportAsk {
  filter?: string;
  range?: TimeRange | null;
  finding?: string;
}

/**
 * Who talked to whom. left_out: [nodes, edges, flows] that are not shown.
 */
export interface ServiceMap {
  about: About;
  nodes: MapNode[];
  edges: MapEdge[];
  left_out: [number, number, number];
}

/**
 * An address that several held in the range, as its flows were named. names: [confidence, namespace/workload].
 */
export interface Shared {
  address: string;
  holders: number;
  names: ([string, string])[];
  flows: number;
}

/**
 * Addresses whose flows were named after several pods, most holders first. left_out: addresses.
 */
export interface SharedAddresses {
  about: About;
  addresses: Shared[];
  left_out: number;
}

/**
 * What is served. since, until: starts of the first and last hour's bounds; null without flows.
 *
 * hours: hour folders; ready: of these with roll-ups. flows, bytes: in the ready hours. building: are they made now?
 * unreadable: [file, why]. history, findings: are they served? evidence: is it there at once, or has all to be read
 * again? notes: can states be written? paints: columns that edges of the map can be painted by.
 */
export interface Status {
  version: string;
  folder: string;
  clusters: string[];
  since: number | null;
  until: number | null;
  hours: number;
  ready: number;
  building: boolean;
  flows: number;
  bytes: number;
  unreadable: ([string, string])[];
  history: boolean;
  evidence: boolean;
  findings: boolean;
  notes: boolean;
  confidences: string[];
  paints: string[];
  columns: ColumnInfo[];
  page_limit: number;
  export_limit: number;
}

/**
 * edges: heaviest first. left_out: edges that are not shown, rest: their measure.
 */
export interface Talkers {
  about: About;
  names: Name[];
  edges: Edge[];
  left_out: number;
  rest: number;
}

/**
 * since <= time < until.
 */
export interface TimeRange {
  since: number;
  until: number;
}

/**
 * The heaviest edges by a measure.
 */
export interface TopAsk {
  filter?: string;
  range?: TimeRange | null;
  by?: "bytes" | "flows" | "packets";
  limit?: number;
}

/**
 * Lanes, oldest first; left_out: lanes beyond the limit. judged: when `at` was asked.
 *
 * flows_*: flows with that end, by bucket, as the flows themselves were named: their confidence, never that of lanes.
 * bucket: an hour, from roll-ups; in a range of two hours or less finer, from the flows. command: that says the same.
 */
export interface Who {
  about: About;
  what: string;
  is_address: boolean;
  lanes: Lane[];
  left_out: number;
  events: LaneEvent[];
  judged: Judged | null;
  gaps: Gap[];
  bucket: number;
  flows_time: number[];
  flows_confidence: string[];
  flows_count: number[];
  flows_bytes: number[];
  command: string;
}

/**
 * what: an address, namespace/name, kind/namespace/name, node/name, or a label key=value. limit: lanes.
 *
 * at: a moment to judge, for an address alone. The filter narrows the flows beside the lanes, not the lanes.
 */
export interface WhoAsk {
  filter?: string;
  range?: TimeRange | null;
  what?: string;
  cluster?: string | null;
  at?: number | null;
  limit?: number;
}

/** Path: method, question, answer. */
export interface Endpoints {
  "/api/status": { method: "GET"; asks: null; tells: Status };
  "/api/check": { method: "POST"; asks: Check; tells: Checked };
  "/api/overview": { method: "POST"; asks: OverviewAsk; tells: Overview };
  "/api/histogram": { method: "POST"; asks: HistogramAsk; tells: Histogram };
  "/api/ends": { method: "POST"; asks: Question; tells: Ends };
  "/api/talkers": { method: "POST"; asks: TopAsk; tells: Talkers };
  "/api/changes": { method: "POST"; asks: ChangesAsk; tells: Changes };
  "/api/map": { method: "POST"; asks: MapAsk; tells: ServiceMap };
  "/api/gaps": { method: "POST"; asks: Question; tells: Gaps };
  "/api/who": { method: "POST"; asks: WhoAsk; tells: Who };
  "/api/evidence": { method: "POST"; asks: EvidenceAsk; tells: Evidence };
  "/api/shared": { method: "POST"; asks: TopAsk; tells: SharedAddresses };
  "/api/flows": { method: "POST"; asks: FlowsAsk; tells: Flows };
  "/api/facets": { method: "POST"; asks: FacetsAsk; tells: Facets };
  "/api/flow": { method: "POST"; asks: FlowAsk; tells: Flow };
  "/api/commands": { method: "POST"; asks: Question; tells: Commands };
  "/api/export": { method: "POST"; asks: ExportAsk; tells: Blob };
  "/api/report": { method: "POST"; asks: ReportAsk; tells: Blob };
  "/api/findings": { method: "POST"; asks: FindingsAsk; tells: Findings };
  "/api/finding": { method: "POST"; asks: FindingAsk; tells: Finding };
  "/api/note": { method: "POST"; asks: NoteAsk; tells: Noted };
}
