// The client looks up elements of HTML only, never of SVG: they have focus(), dataset and style.
interface ParentNode {
  querySelector(selectors: string): HTMLElement | null;
}
interface Element {
  closest(selectors: string): HTMLElement | null;
}
