// For `npm run types`: no browser loads this.
export { default } from "htm";
