// Types that the modules of the web client share; rows and requests come from the OpenAPI document.
import type { Problem } from "../app/static/app/api.js";
import type { components } from "./api";
import type { Known, Method, WithBody } from "./routes";

type Schemas = components["schemas"];
export type Account = Schemas["AccountRead"];
export type Change = Schemas["ChangeRead"];
export type ChatRequest = Schemas["ChatRequest"];
export type ChatAnswer = Schemas["ChatAnswer"];
export type ToolCall = Schemas["ToolCallRead"];
export type ChannelCreate = Schemas["ChannelCreate"];
export type ChannelDelivery = Schemas["ChannelDelivery"];
export type ChannelKind = Schemas["ChannelKindRead"];
export type ChannelUpdate = Schemas["ChannelUpdate"];
export type HistoryEntry = Schemas["HistoryEntry"];
export type PushBody = Schemas["PushSubscription"];
export type ProblemBody = Schemas["Problem"];
export type Priority = Schemas["Priority"];
export type QuickPreview = Schemas["QuickDraft"] | Schemas["QuickAdded"];
export type Span = Schemas["Understood"];
export type TaskStatus = Schemas["TaskStatus"];
export type TaskFilter = Schemas["TaskFilter"];

/** A row on the screen; `waiting` while a write of it is in the outbox. */
type Shown<T> = T & { waiting?: boolean };
export type Task = Shown<Schemas["TaskRead"]>;
export type LoginProvider = Schemas["LoginProviderRead"];
export type ProviderLink = Schemas["OidcLinkRead"];
export type Factors = Schemas["FactorsRead"];
export type Passkey = Schemas["PasskeyRead"];
export type TotpSecret = Schemas["TotpCreated"];
export type ConnectedApp = Schemas["ConnectedAppRead"];
export type LoginSession = Schemas["SessionRead"];
export type ApiToken = Schemas["ApiTokenRead"];
export type ApiTokenCreated = Schemas["ApiTokenCreated"];
export type Calendar = Schemas["CalendarRead"];
export type CalendarCreated = Schemas["CalendarCreated"];
export type Webhook = Schemas["WebhookRead"];
export type WebhookEvent = Schemas["WebhookEvent"];
export type WebhookDelivery = Schemas["DeliveryRead"];
export type ImportReport = Schemas["ImportReport"];
export type Stats = Schemas["StatsRead"];
export type TrashedTask = Shown<Schemas["TrashedTaskRead"]>;
export type Project = Shown<Schemas["ProjectRead"]>;
export type TagColor = Shown<Schemas["TagColorRead"]>;
export type Comment = Shown<Schemas["CommentRead"]>;
export type Channel = Shown<Schemas["ChannelRead"]>;
export type View = Shown<Omit<Schemas["ViewRead"], "parameters"> & { parameters: TaskFilter }>;

/** Rows of the replica, by entity. */
export interface Rows {
  task: Task;
  project: Project;
  comment: Comment;
  view: View;
  channel: Channel;
  tag: TagColor;
}
export type Entity = keyof Rows;
export type Replica<K extends Entity = Entity> = { [E in K]: Map<number, Rows[E]> };
export type Row = Rows[Entity];
/** Lists of tasks are an array or, under LIST_SHAPE=envelope, an object that holds it. */
export type TaskList = Task[] | { tasks: Task[] };

/** Bodies of PATCH. */
interface Updates {
  task: Schemas["TaskUpdate"];
  project: Schemas["ProjectUpdate"];
  view: Schemas["ViewUpdate"];
  channel: Schemas["ChannelUpdate"];
}
export type Fields<E extends keyof Updates> = Partial<Pick<Rows[E], keyof Rows[E] & keyof Updates[E]>>;

/** A new row, until the service has given it an id. */
type Bookkeeping = "uid" | "user_id" | "created_at" | "updated_at";
export type Draft<E extends Entity> = Omit<Rows[E], "id" | Bookkeeping> &
  Partial<Pick<Rows[E], Bookkeeping & keyof Rows[E]>>;

/** A change of one row that a pending write lays over the replica. */
export type Layer<K extends Entity = Entity> = { [E in K]: { entity: E; id: number } & Overlay<E> }[K];
export interface Overlay<E extends Entity> {
  create?: Draft<E>;
  patch?: Partial<Rows[E]>;
  remove?: boolean;
}

/** A write in the outbox, as the database keeps it. `{id}` in the path stands for the id. */
export interface Op {
  key: string; // the Idempotency-Key, if it is a request of its own
  tries: number;
  operation?: string; // its name in a batch; none if it is a request of its own, or an older version left it
  batch?: string; // the key of the batch that it was sent with, or its own
  entity: Entity | "trash" | "undo";
  id?: number; // negative until the service has given one
  name?: string; // of a tag
  creates?: number; // the id until the service has given one
  method: Method;
  path: string;
  body?: Record<string, unknown>;
  label: string;
  match?: number; // the version it is based on: If-Match
  before?: Record<string, unknown>; // the fields of the body as they were
  overlay?: Layer[];
  typed?: Typed; // what was typed for it, which comes back if it is refused
  undoes?: number; // the revision of the write that it undoes
  occurrence?: string | null; // the due date of a recurring task, of which only this occurrence is meant
  tell?: "undo" | "only"; // a toast when it is confirmed, with or without an offer to undo it
}

/** What is typed in a field. `before` and `match`: the text and the version that stood there when typing began. */
export interface TypedText {
  text: string;
  before?: string;
  match?: number;
  refused?: string; // why the service did not take it
  others?: { text: string; refused: string }[]; // refused earlier, while the field holds something newer
  at: number;
}
export type Typed = { name: string } & Pick<TypedText, "text" | "before" | "match">;
/** What a text is compared with, if another client has changed it while it was typed. */
export type Base = { typed?: Typed; before?: string; match?: number };

/** A write that is not in the outbox yet; method, path and body are those of one route. */
export type NewOp<M extends Method, P extends string> = Pick<Op, "entity"> & RowOp<M, P>;
export type RowOp<M extends Method, P extends string> = Omit<
  Op,
  "key" | "tries" | "operation" | "batch" | "entity" | "method" | "path" | "body"
> & {
  method: M & Known<M, P>;
  path: P;
} & WithBody<M, P>;

/** The JSON that a write returns: a row, the task of quick add, the changes of an undo, results of many, or nothing. */
export type WriteResult =
  (Partial<Row> & { task?: Task; revision?: number; changes?: Change[]; results?: Schemas["BulkItem"][] }) | null;

export type Success = { data: WriteResult; revision?: number };
export type BatchResult = Schemas["BatchResult"];

/** Events of the outbox. */
export interface OutboxHandlers {
  changed(): void;
  made(created: { entity: Op["entity"]; from: number; row: Row }): void;
  done(op: Op, answer: Success): void;
  refused(op: Op, problem: Problem): void;
  stale(op: Op): Promise<Op | null> | null; // the write to send instead
  reachable(is: boolean): void;
}

export interface ApiResponse<T = unknown> {
  status: number;
  data: T;
  etag: string | null;
  revision: number;
  total: number | null; // of a list, if it was asked for
  replayed: boolean;
  next: string | null; // the URL of the following page
}

/** A response whose body has not been read yet; `Returned` is the type of its JSON. */
export interface UnreadResponse<Returned> extends Response {
  returned?: Returned;
}

export type RequestOptions = { headers?: Record<string, string>; signal?: AbortSignal; file?: Blob };

/** The list, its filters and the open task, as the URL names them. */
export interface Place {
  list: string;
  id: string; // of the project or the tag
  search: string;
  status: string;
  priority: string;
  due: string;
  sort: string;
  layout: string; // of a project: "board", "list", or "" for the one shown before
  by: string; // the field of the columns of a board
  task: number; // the id of the one whose details are open; 0: none
}

/** A task in the list, and how far it is indented. */
export interface ListRow {
  task: Task;
  depth: number;
}

/** A write that met a newer version (412), and the fields that both changed. */
export interface Conflict {
  op: Op;
  current: Record<string, unknown> & { version: number; title?: string; name?: string };
  fields: string[];
}

export interface Ui {
  editing: number | null;
  toast: { text: string; undo: string | null; failed: boolean; href?: string } | null;
  conflicts: Conflict[];
  taken: { name: string; other: string } | null;
  panel: "help" | "chat" | "bell" | "palette" | null;
  proving: Proving | null;
  update: boolean;
  sidebar: boolean;
  selected: Set<string | number> | null;
  found: Set<number> | null;
  unreadable: string | null;
}

/** A second factor as its user gives it: one of both. */
export interface GivenFactor {
  code?: string;
  passkey?: Record<string, unknown>;
}

/** A call that waits until the user has proved a second factor, by one of `methods`. */
export interface Proving {
  methods: string[];
  allow(): void;
  refuse(error: Error): void;
}

/** A login that waits for a second factor; without a challenge it is in a cookie. */
export interface WaitingLogin {
  challenge?: string | null;
  methods?: string[];
  provider?: string;
}

/** An event of an element of the page. */
export type On<T extends Element = HTMLElement, E extends Event = Event> = E & { target: T; currentTarget: T };
export type Typing = On<HTMLInputElement>;
export type Choosing = On<HTMLSelectElement>;
/** The submit event of a form, with its fields by name. */
export type Sending<Name extends string> = On<HTMLFormElement & { elements: Record<Name, HTMLInputElement> }>;

/** An error of a call: a problem of the service, or a failure of the network. */
export type Thrown = Error & Partial<Problem>;
