import { html } from "../html.js";

const PATHS = {
  inbox: "M3 13l3-8h12l3 8v6H3zM3 13h5l1.5 3h5L16 13h5",
  all: "M8 6h12M8 12h12M8 18h12M4 6h.01M4 12h.01M4 18h.01",
  today:
    "M12 3v2M12 19v2M3 12h2M19 12h2M5.6 5.6l1.4 1.4M17 17l1.4 1.4M5.6 18.4L7 17M17 7l1.4-1.4M12 8a4 4 0 100 8 4 4 0 000-8z",
  upcoming: "M4 6h16v14H4zM4 10h16M8 3v4M16 3v4",
  calendar: "M4 5h16v15H4zM4 10h16M4 15h16M9.3 10v10M14.7 10v10",
  done: "M4 12.5l5 5L20 6.5",
  trash: "M4 7h16M9 7V4h6v3M6 7l1 13h10l1-13M10 11v5M14 11v5",
  activity: "M12 4a8 8 0 100 16 8 8 0 000-16zM12 8v4l3 2",
  tag: "M4 4h8l8 8-8 8-8-8zM8 8h.01",
  star: "M12 4l2.5 5.2 5.7.8-4.1 4 1 5.6-5.1-2.7-5.1 2.7 1-5.6-4.1-4 5.7-.8z",
  view: "M4 5h16l-6 8v6l-4-2v-4z",
  back: "M14 6l-6 6 6 6",
  forth: "M10 6l6 6-6 6",
  plus: "M12 5v14M5 12h14",
  select: "M4 4h16v16H4zM8.5 12l2.5 2.5 5-5",
  search: "M11 4a7 7 0 100 14 7 7 0 000-14zM20 20l-4-4",
  edit: "M4 20l1-5L16 4l4 4L9 19z",
  close: "M6 6l12 12M18 6L6 18",
  menu: "M4 7h16M4 12h16M4 17h16",
  grip: "M9 6h.01M15 6h.01M9 12h.01M15 12h.01M9 18h.01M15 18h.01",
  repeat: "M4 11a6 6 0 016-6h9l-3-3M20 13a6 6 0 01-6 6H5l3 3",
  bell: "M6 16V11a6 6 0 1112 0v5l2 2H4zM10 21h4",
  help: "M9 9a3 3 0 115 2.2c-1 .8-2 1.3-2 2.8M12 18h.01",
  chat: "M4 5h16v11H10l-5 4v-4H4z",
  settings: "M4 7h9M17 7h3M4 17h3M11 17h9M15 5v4M9 15v4",
  theme: "M12 3a9 9 0 109 9 7 7 0 01-9-9z",
  out: "M14 4h5v16h-5M4 12h11M11 8l4 4-4 4",
};

/** @typedef {keyof typeof PATHS} IconName */
/** @param {{ name: IconName }} props */
export const Icon = ({ name }) =>
  html`<svg class="icon" viewBox="0 0 24 24" aria-hidden="true"><path d=${PATHS[name]} /></svg>`;

export const Mark = () => html`
  <svg class="mark" viewBox="0 0 32 32" aria-hidden="true">
    <circle cx="16" cy="16" r="15" /><path d="M9.5 16.8l4.4 4.4 8.8-9.6" />
  </svg>
`;
