/* global options, SwaggerUIBundle */

/**
 * Adapts the document to this page. Its examples name the address that the reader uses, and Authorize has the bearer
 * token alone: the token of a calendar feed is a parameter of its one operation.
 */
function adaptDocument(response) {
  if (!response.ok || !response.url.endsWith("/openapi.json")) return response;
  const found = JSON.parse(response.text);
  const base = new URL(options.url, location.href).href.replace(/\/openapi\.json$/, "");
  found.info.description = found.info.description.replaceAll("http://127.0.0.1:8000", base);
  delete found.components.securitySchemes.calendarToken;
  for (const item of Object.values(found.paths))
    for (const operation of Object.values(item))
      operation.security = operation.security.filter((scheme) => !("calendarToken" in scheme));
  response.text = JSON.stringify(found);
  return response;
}

/** Folds the responses of an operation that are errors: there are about ten, and each has an example of its own. */
const foldErrors = () => ({
  wrapComponents: {
    response: (Response, { React }) =>
      function FoldedResponse(props) {
        const [isOpen, setOpen] = React.useState(props.code.startsWith("2"));
        const make = React.createElement;
        if (isOpen) return make(Response, props);
        const toggle = make("button", { className: "btn", onClick: () => setOpen(true) }, props.code);
        return make(
          "tr",
          { className: "response", "data-code": props.code },
          make("td", { className: "response-col_status" }, toggle),
          make("td", { className: "response-col_description", colSpan: 2 }, props.response.get("description")),
        );
      },
  },
});

SwaggerUIBundle({ ...options, responseInterceptor: adaptDocument, plugins: [foldErrors] });
