-- The schema on Citus: run as the owner of the tables, once, after "todo migrate" and before the first user.
-- Read docs/scaling.md first: what was tried, and what was not.
--
-- Every node needs the service's roles, as roles that can log in (Citus connects to the workers as the role that runs):
--   alter role todo_user login; alter role todo_auth login; alter role todo_eraser login; alter role todo_worker login;

-- Nobody may see half of it.
begin;

-- Small, and looked up before anybody knows whose they are (by e-mail, by a token's hash, by an address): a copy on
-- every node. They refer to users, and a reference table cannot refer to a distributed one: that goes.
alter table accounts drop constraint accounts_user_id_fkey;
alter table api_tokens drop constraint api_tokens_user_id_fkey;
select create_reference_table('accounts');
select create_reference_table('sessions');
select create_reference_table('refresh_tokens');
select create_reference_table('api_tokens');
select create_reference_table('password_resets');
select create_reference_table('email_changes');
select create_reference_table('login_attempts');
select create_reference_table('rate_limits');

-- What users keep: all rows of one user on one node.
select create_distributed_table('users', 'id');
select create_distributed_table('projects', 'user_id', colocate_with => 'users');
select create_distributed_table('tasks', 'user_id', colocate_with => 'users');
select create_distributed_table('comments', 'user_id', colocate_with => 'users');
select create_distributed_table('views', 'user_id', colocate_with => 'users');
select create_distributed_table('changes', 'user_id', colocate_with => 'users');
select create_distributed_table('idempotency_keys', 'user_id', colocate_with => 'users');
select create_distributed_table('webhooks', 'user_id', colocate_with => 'users');
select create_distributed_table('webhook_deliveries', 'user_id', colocate_with => 'users');
select create_distributed_table('calendar_feeds', 'user_id', colocate_with => 'users');
select create_distributed_table('conversations', 'user_id', colocate_with => 'users');
select create_distributed_table('messages', 'user_id', colocate_with => 'users');
select create_distributed_table('agent_writes', 'user_id', colocate_with => 'users');
select create_distributed_table('token_use', 'user_id', colocate_with => 'users');

commit;
