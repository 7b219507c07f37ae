// Continues with the login of the web client: its refresh token is in a cookie that only requests of this service's own
// pages carry. A provider of sign-ins comes back with a fragment, after this service has set the cookie; one that waits
// for a second factor is continued by a form of its own.
const form = document.querySelector("#session");
const returned = location.hash.startsWith("#signed-in");
const known = localStorage.getItem("todo.user");
if (form instanceof HTMLFormElement && (returned || known)) {
  fetch(form.dataset.refresh ?? "", {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-Refresh-Cookie": "true" },
    body: "{}",
  })
    .then((answer) => (answer.ok ? answer.json() : null))
    .then((pair) => {
      const [token, started] = ["access_token", "started"].map((name) => form.elements.namedItem(name));
      if (!pair || !(token instanceof HTMLInputElement) || !(started instanceof HTMLInputElement)) return;
      token.value = pair.access_token;
      started.value = known ? "" : "1"; // made for this answer alone: it ends with it
      form.submit();
    })
    .catch(() => {}); // the form asks for the password
}
const waiting = document.querySelector("#waiting");
if (waiting instanceof HTMLFormElement && location.hash.startsWith("#second-factor")) waiting.submit();
