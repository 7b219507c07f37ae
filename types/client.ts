// Types that the modules of the web client share; rows and requests come from the OpenAPI document.
import type { Problem } from "../app/static/app/api.js";
import type { components } from "./api";
import type { Known, Method, WithBody } from "./routes";

type Schemas = components["schemas"];
export type Account = Schemas["AccountRead"];
export type Change = Schemas["ChangeRead"];
export type ChatRequest = Schemas["ChatRequest"];
export type HistoryEntry = Schemas["HistoryEntry"];
export type ProblemBody = Schemas["Problem"];
export type Priority = Schemas["Priority"];
export type QuickPreview = Schemas["QuickDraft"] | Schemas["QuickAdded"];
export type Span = Schemas["Understood"];
export type TaskFilter = Schemas["TaskFilter"];

/** A row on the screen; `waiting` while a write of it is in the outbox. */
type Shown<T> = T & { waiting?: boolean };
export type Task = Shown<Schemas["TaskRead"]>;
export type TrashedTask = Shown<Schemas["TrashedTaskRead"]>;
export type Project = Shown<Schemas["ProjectRead"]>;
export type Comment = Shown<Schemas["CommentRead"]>;
export type View = Shown<Omit<Schemas["ViewRead"], "parameters"> & { parameters: TaskFilter }>;

/** Rows of the replica, by entity. */
export interface Rows {
  task: Task;
  project: Project;
  comment: Comment;
  view: View;
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
}
export type Fields<E extends keyof Updates> = Partial<Pick<Rows[E], keyof Rows[E] & keyof Updates[E]>>;

/** A new row, until the service has given it an id. */
type Bookkeeping = "uid" | "user_id" | "created_at" | "updated_at";
export type Draft<E extends Entity> = Omit<Rows[E], "id" | Bookkeeping> & Partial<Pick<Rows[E], Bookkeeping>>;

/** A change of one row that a pending write lays over the replica. */
export type Layer<K extends Entity = Entity> = { [E in K]: { entity: E; id: number } & Overlay<E> }[K];
export interface Overlay<E extends Entity> {
  create?: Draft<E>;
  patch?: Partial<Rows[E]>;
  remove?: boolean;
}

/** A write in the outbox, as localStorage keeps it. `{id}` in the path stands for the id. */
export interface Op {
  key: string; // the Idempotency-Key, if it is a request of its own
  tries: number;
  operation?: string; // its name in a batch; none if it is a request of its own, or an older version left it
  batch?: string; // the key of the batch that it was sent with, or its own
  entity: Entity | "tag" | "trash" | "undo";
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
  tell?: "undo" | "only"; // a toast when it is confirmed, with or without an offer to undo it
}

/** A write that is not in the outbox yet; method, path and body are those of one route. */
export type NewOp<M extends Method, P extends string> = Pick<Op, "entity"> & RowOp<M, P>;
export type RowOp<M extends Method, P extends string> = Omit<
  Op,
  "key" | "tries" | "operation" | "batch" | "entity" | "method" | "path" | "body"
> & {
  method: M & Known<M, P>;
  path: P;
} & WithBody<M, P>;

/** The JSON that a write returns: a row, the task of quick add, the changes of an undo, or nothing. */
export type WriteResult = (Partial<Row> & { task?: Task; revision?: number; changes?: Change[] }) | null;

export type Success = { data: WriteResult };
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
  replayed: boolean;
  next: string | null; // the URL of the following page
}

/** A response whose body has not been read yet; `Returned` is the type of its JSON. */
export interface UnreadResponse<Returned> extends Response {
  returned?: Returned;
}

export type RequestOptions = { headers?: Record<string, string>; signal?: AbortSignal };

/** The list, its filters and the open task, as the URL names them. */
export interface Place {
  list: string;
  id: string; // of the project or the tag
  search: string;
  status: string;
  priority: string;
  due: string;
  sort: string;
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
  toast: { text: string; undo: boolean; failed: boolean } | null;
  conflict: Conflict | null;
  taken: { name: string; other: string } | null;
  panel: "help" | "chat" | null;
  sidebar: boolean;
  found: Set<number> | null;
}

/** An event of an element of the page. */
export type On<T extends Element = HTMLElement, E extends Event = Event> = E & { target: T; currentTarget: T };
export type Typing = On<HTMLInputElement>;
export type Choosing = On<HTMLSelectElement>;
/** The submit event of a form, with its fields by name. */
export type Sending<Name extends string> = On<HTMLFormElement & { elements: Record<Name, HTMLInputElement> }>;

/** An error of a call: a problem of the service, or a failure of the network. */
export type Thrown = Error & Partial<Problem>;
