// Requests and responses by method and path, from the OpenAPI document. A path is written as in the client:
// `/tasks/${id}/comments?limit=5` below /api/me, or `api/auth/login`. A route that does not exist is a type error.
import type { paths } from "./api";

export type Method = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";

type Whole<P extends string> = P extends `${infer Bare}?${string}`
  ? Whole<Bare>
  : P extends `api/${string}`
    ? `/${P}`
    : `/api/{user_id}${P}`;

/** true if the path belongs to the route, compared by segments: `{task_id}` matches any. */
type Fits<P extends string, R extends string> = R extends `${infer RHead}/${infer RTail}`
  ? P extends `${infer PHead}/${infer PTail}`
    ? FitsSegment<PHead, RHead> extends true
      ? Fits<PTail, RTail>
      : false
    : false
  : P extends `${string}/${string}`
    ? false
    : FitsSegment<P, R>;
type FitsSegment<P extends string, R extends string> = R extends `{${string}}` ? true : P extends R ? true : false;

type Search<P extends string> = { [R in keyof paths & string]: Fits<P, R> extends true ? R : never }[keyof paths &
  string];
type Route<P extends string> = P extends unknown ? (Whole<P> extends keyof paths ? Whole<P> : Search<Whole<P>>) : never;

type Operation<M extends Method, P extends string> =
  Route<P> extends infer R extends keyof paths
    ? R extends unknown
      ? paths[R][Lowercase<M> & keyof paths[R]]
      : never
    : never;

/** never if there is no such route. A path that is known only at run time is not checked. */
export type Known<M extends Method, P extends string> = string extends P
  ? unknown
  : [Operation<M, P>] extends [never]
    ? never
    : [Operation<M, P>] extends [undefined]
      ? never
      : unknown;

type Json<T> = T extends { content: { "application/json": infer Body } } ? Body : null;

/** The JSON of a successful response; null without a body. */
export type Returned<M extends Method, P extends string> = string extends P
  ? unknown
  : Operation<M, P> extends { responses: infer R }
    ? Json<R[keyof R & (200 | 201 | 202 | 204)]>
    : never;

/** The JSON of the request. */
export type Sent<M extends Method, P extends string> = string extends P
  ? unknown
  : Operation<M, P> extends { requestBody: { content: { "application/json": infer Body } } }
    ? Body
    : Operation<M, P> extends { requestBody?: { content: { "application/json": infer Body } } }
      ? Body | undefined
      : undefined;

/** `body`, required or optional as the route has it. */
export type WithBody<M extends Method, P extends string> =
  undefined extends Sent<M, P> ? { body?: Sent<M, P> } : { body: Sent<M, P> };
