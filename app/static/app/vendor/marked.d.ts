export interface Token {
  type: string;
  raw: string;
  text?: string;
  tokens?: Token[];
  items?: Token[];
  ordered?: boolean;
  start?: number | "";
  checked?: boolean;
  task?: boolean;
  depth?: number;
  href?: string;
  lang?: string;
  header?: { tokens: Token[] }[];
  rows?: { tokens: Token[] }[][];
}
export function lexer(text: string, options?: { gfm?: boolean; breaks?: boolean }): Token[];
