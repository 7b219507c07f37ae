// Rules that find faults; how a line looks is prettier's affair.
import js from "@eslint/js";
import hooks from "eslint-plugin-react-hooks";
import globals from "globals";

// Names that every window has: used without a declaration, they are a forgotten import or parameter.
const MISLEADING =
  "close closed event find focus frames length name open opener origin parent print self status stop top";

export default [
  { ignores: ["**/vendor/", "app/static/swagger/"] },
  {
    files: ["app/static/app/**/*.js", "app/static/swagger_page.js", "app/static/oauth/*.js"],
    languageOptions: { ecmaVersion: 2024, sourceType: "module", globals: globals.browser },
    linterOptions: { reportUnusedDisableDirectives: "error" },
    plugins: { "react-hooks": hooks },
    rules: {
      ...js.configs.recommended.rules,
      "array-callback-return": "error",
      eqeqeq: "error",
      "no-implied-eval": "error",
      "no-restricted-globals": ["error", ...MISLEADING.split(" ")],
      "no-self-compare": "error",
      "no-shadow": "error",
      "no-template-curly-in-string": "error",
      "no-throw-literal": "error",
      "no-unmodified-loop-condition": "error",
      "no-unreachable-loop": "error",
      "no-unused-vars": ["error", { ignoreRestSiblings: true }],
      "no-var": "error",
      "prefer-const": "error",
      "react-hooks/exhaustive-deps": "error", // preact's hooks have the rules of React's
      "react-hooks/rules-of-hooks": "error",
    },
  },
];
