// For `npm run types`: no browser loads this.
export * from "preact";
