%% @private The maps of a batch. They are made here and not in the NIF: here they share their keys with
%% each other, and what they have in common crosses once.
-module(primer_batch).

-export([receipts/1, deliveries/1]).

%% @doc What `primer_nif:enqueue_many/3' answers, with its receipts.
-spec receipts({ok, primer_nif:receipts()} | {error, primer:error()}) ->
    {ok, [primer:receipt()]} | {error, primer:error()}.
receipts({ok, Groups}) -> {ok, receipt_groups(Groups)};
receipts({error, _} = Error) -> Error.

receipt_groups([{Copies, Durable, Wanted, IsDuplicate, Ids} | Groups]) ->
    receipt_group(Ids, {Copies, Durable, Wanted, IsDuplicate}, Groups);
receipt_groups([]) ->
    [].

receipt_group([Id | Ids], {Copies, Durable, Wanted, IsDuplicate} = Head, Groups) ->
    Receipt = #{
        id => Id, copies => Copies, durable_copies => Durable, wanted => Wanted, is_duplicate => IsDuplicate
    },
    [Receipt | receipt_group(Ids, Head, Groups)];
receipt_group([], _Head, Groups) ->
    receipt_groups(Groups).

%% @doc What `primer_nif' answers to a receive, with its deliveries.
-spec deliveries({ok, primer_nif:deliveries()} | {error, primer:error()}) ->
    {ok, [primer:delivery()]} | {error, primer:error()}.
deliveries({ok, {Queue, Groups}}) -> {ok, delivery_groups(Groups, Queue)};
deliveries(Answer) -> Answer.

delivery_groups([{Attempts, Priority, Headers, Key, Fields} | Groups], Queue) ->
    delivery_group(Fields, {Attempts, Priority, Headers, Key}, Queue, Groups);
delivery_groups([], _Queue) ->
    [].

delivery_group([Id, Body, Lease | Fields], {Attempts, Priority, Headers, Key} = Head, Queue, Groups) ->
    Delivery = #{
        id => Id,
        body => Body,
        headers => Headers,
        attempts => Attempts,
        key => Key,
        priority => Priority,
        queue => Queue,
        handle => Lease
    },
    [Delivery | delivery_group(Fields, Head, Queue, Groups)];
delivery_group([], _Head, Queue, Groups) ->
    delivery_groups(Groups, Queue).
