CREATE TABLE operation (
    rev bigserial PRIMARY KEY, device text NOT NULL, epoch text NOT NULL, seq int NOT NULL,
    sku text NOT NULL, qty_milli bigint NOT NULL, reason text NOT NULL, at text NOT NULL,
    UNIQUE (device, epoch, seq)
);
CREATE TABLE balance (sku text PRIMARY KEY, on_hand_milli bigint NOT NULL, rev bigint NOT NULL);

-- Records operations that were not recorded yet, adds them up, and tells every screen. Returns the last seq.
CREATE FUNCTION record(device_ text, epoch_ text, first int, reason_ text, at_ text, skus text[], qtys_milli bigint[])
RETURNS int LANGUAGE plpgsql AS $$
DECLARE
    rev_ bigint;
    balance_ bigint;
BEGIN
    FOR n IN 1 .. cardinality(skus) LOOP
        INSERT INTO operation (device, epoch, seq, sku, qty_milli, reason, at)
            VALUES (device_, epoch_, first + n - 1, skus[n], qtys_milli[n], reason_, at_)
            ON CONFLICT DO NOTHING RETURNING rev INTO rev_;
        IF FOUND THEN
            INSERT INTO balance AS old VALUES (skus[n], qtys_milli[n], rev_)
                ON CONFLICT (sku) DO UPDATE SET on_hand_milli = old.on_hand_milli + excluded.on_hand_milli, rev = rev_
                RETURNING on_hand_milli INTO balance_;
            PERFORM pg_notify('balances', json_build_object('sku', skus[n], 'on_hand_milli', balance_)::text);
        END IF;
    END LOOP;
    RETURN first + cardinality(skus) - 1;
END $$;
