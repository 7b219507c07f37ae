// The scope of a service worker, which the types of a page do not have.

/** What the service pushes: `push_message` of the service. */
export interface PushMessage {
  id: string;
  kind: "reminder" | "digest" | "test";
  title: string;
  text: string;
  url: string;
  task_id: number | null;
  due_at: string | null;
  late: boolean;
}

/** A notification on the screen. */
export interface Shown {
  title: string;
  body: string;
  tag: string;
  data: { user: string; task: number | null; kind: PushMessage["kind"] };
  close(): void;
}

interface WorkerEvent extends Event {
  waitUntil(work: Promise<unknown>): void;
}
interface WorkerEvents {
  install: WorkerEvent;
  activate: WorkerEvent;
  fetch: WorkerEvent & { request: Request; respondWith(response: Promise<Response>): void };
  message: MessageEvent;
  push: WorkerEvent & { data: { json(): PushMessage } | null };
  notificationclick: WorkerEvent & { action: string; notification: Shown };
  pushsubscriptionchange: WorkerEvent & { newSubscription?: PushSubscription | null };
}
interface WindowClient {
  url: string;
  focused: boolean;
  focus(): Promise<WindowClient>;
  postMessage(message: unknown): void;
}

export interface WorkerScope {
  addEventListener<K extends keyof WorkerEvents>(type: K, listener: (event: WorkerEvents[K]) => void): void;
  skipWaiting(): Promise<void>;
  kept: { version: string; page: string; files: string[] }; // page: its ETag
  clients: {
    claim(): Promise<void>;
    matchAll(options: { type: "window"; includeUncontrolled: boolean }): Promise<WindowClient[]>;
    openWindow(url: string): Promise<WindowClient | null>;
  };
  registration: Omit<ServiceWorkerRegistration, "showNotification"> & {
    showNotification(
      title: string,
      options: NotificationOptions & { actions: { action: string; title: string }[]; timestamp?: number },
    ): Promise<void>;
  };
}
