-- API keys: who may call, and for how long. Nothing here is secret: what is kept of a key is its hash.
create table api_keys (
  id text primary key check (id ~ '^[0-9A-Za-z]{12}$'),
  owner text,
  name text,
  scopes text[] not null default '{}',
  roles text[] not null default '{}',
  -- null: it may be used from everywhere
  allowed_addresses text[] check (cardinality(allowed_addresses) > 0),
  created timestamptz not null default now(),
  expires timestamptz,
  revoked timestamptz,
  last_used timestamptz,
  last_address text
);

create table api_key_secrets (
  key_id text not null references api_keys on delete cascade,
  hash text not null check (hash ~ '^sha256:[0-9a-f]{64}$'),
  expires timestamptz,
  primary key (key_id, hash)
);

-- At most one secret without an end, and one that ends: a rotation cannot begin before the last one is over.
create unique index api_key_secrets_two on api_key_secrets (key_id, (expires is null));
