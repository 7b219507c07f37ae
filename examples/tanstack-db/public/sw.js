// Keeps the page's own files, so that it opens without a network. The service is called by the page.
addEventListener("install", () => skipWaiting());
addEventListener("activate", (event) => event.waitUntil(clients.claim()));
addEventListener("fetch", (event) => {
  const { request } = event;
  if (request.method !== "GET" || new URL(request.url).origin !== location.origin) return;
  event.respondWith(load(request));
});

async function load(request) {
  const files = await caches.open("page");
  try {
    const response = await fetch(request);
    if (response.ok) await files.put(request, response.clone());
    return response;
  } catch (error) {
    return (await files.match(request)) ?? Promise.reject(error);
  }
}
