// Better Auth stores the users; the todo service verifies its tokens with the keys at /api/auth/jwks.
// Start the service with BETTER_AUTH_URL set to the same URL: BETTER_AUTH_URL=http://localhost:3000 todo serve
import { betterAuth } from "better-auth";
import { memoryAdapter } from "better-auth/adapters/memory";
import { jwt } from "better-auth/plugins";

export const auth = betterAuth({
  baseURL: process.env.BETTER_AUTH_URL,
  secret: process.env.BETTER_AUTH_SECRET,
  database: memoryAdapter({ user: [], session: [], account: [], verification: [], jwks: [] }), // in production: your database
  emailAndPassword: { enabled: true },
  plugins: [jwt()],
});
