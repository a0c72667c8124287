%% @doc The application and its default member.
-module(primer_app_tests).

-include_lib("eunit/include/eunit.hrl").

-define(LIMIT, 20_000).

app_test_() ->
    {inorder, [
        {atom_to_list(Name), {setup, fun clean/0, fun(_) -> clean() end, {timeout, 60, Test}}}
     || Test <- [
            fun without_the_application_verbs_by_name_answer_501/0,
            fun the_default_member_opens_on_first_use/0,
            fun a_configured_member_opens_at_once/0,
            fun a_wrong_configuration_stops_the_start/0,
            fun a_default_member_that_closed_is_opened_again/0,
            fun stopping_the_application_closes_the_member/0
        ],
        {name, Name} <- [erlang:fun_info(Test, name)]
    ]}.

clean() ->
    _ = application:stop(primer),
    _ = application:load(primer),
    [application:unset_env(primer, Key) || {Key, _} <- application:get_all_env(primer)],
    ok.

without_the_application_verbs_by_name_answer_501() ->
    ?assertMatch({error, {member_down, closed, #{number := 501}}}, primer:enqueue(<<"jobs">>, <<"x">>)),
    ?assertMatch({error, {member_down, closed, _}}, primer:members()).

the_default_member_opens_on_first_use() ->
    {ok, _} = application:ensure_all_started(primer),
    {ok, #{id := Id, copies := 1}} = primer:enqueue(<<"emails">>, <<"hi">>),
    {ok, #{}} = primer:enqueue(emails, "ho", #{headers => #{<<"k">> => <<"v">>}}),
    {ok, [#{id := Id, body := <<"hi">>} = First]} = primer:'receive'("emails"),
    ok = primer:ack(First),
    {ok, Subscription} = primer:subscribe(emails),
    receive
        {primer, Subscription, #{body := <<"ho">>} = Second} -> ok = primer:ack(Second)
    end,
    ok = primer:close(Subscription),
    {ok, [_, _]} = primer:enqueue_many(emails, [<<"1">>, <<"2">>]),
    {ok, [_, _] = Both} = primer:'receive'(emails, #{max => 10}),
    {ok, [0, 0]} = primer:ack_many(Both),
    undefined = primer:address(),
    {ok, [#{is_self := true, zone := <<>>, memory_level := 0}]} = primer:members(),
    {ok, Elsewhere} = primer:open(#{zone => <<"attic">>}),
    {ok, [#{zone := <<"attic">>}]} = primer:members(Elsewhere),
    ok = primer:close(Elsewhere),
    {ok, #{}} = primer:stats(),
    {ok, Events} = primer:events(),
    ok = primer:close(Events),
    {ok, Chat} = primer:on(chat),
    {ok, Watch} = primer:watch(""),
    ok = primer:broadcast(chat, "hello"),
    receive {primer, Chat, #{body := <<"hello">>}} -> ok end,
    ok = primer:put(colour, "red"),
    {ok, #{key := <<"colour">>, value := <<"red">>}} = primer:next(Watch, ?LIMIT),
    {ok, <<"red">>} = primer:get(colour),
    {ok, [#{key := <<"colour">>}]} = primer:list(""),
    ok = primer:delete(colour),
    undefined = primer:get(colour),
    {ok, 0} = primer:reclaim(true),
    {error, {wrong_call, not_found, _}} = primer:evict(lists:duplicate(32, $1)),
    {error, {wrong_call, unsupported, _}} = primer:rotate(["one-2c5bd9a0f1e34b7796a8"]),
    [ok = primer:close(Reader) || Reader <- [Chat, Watch]],
    {error, {not_now, unreachable, _}} = primer:join("127.0.0.1:1"),
    ok = primer:leave().

a_configured_member_opens_at_once() ->
    {ok, Seed} = primer:open(#{cluster => shop}),
    {ok, Events} = primer:events(Seed),
    application:set_env(primer, cluster, shop),
    application:set_env(primer, name, "till"),
    application:set_env(primer, seeds, [binary_to_list(primer:address(Seed))]),
    {ok, _} = application:ensure_all_started(primer),
    receive {primer, Events, #{kind := joined, name := <<"till">>}} -> ok end,
    {ok, [_, _]} = primer:members(),
    ok = application:stop(primer),
    ok = primer:close(Seed).

a_wrong_configuration_stops_the_start() ->
    application:set_env(primer, colour, red),
    silently(fun() ->
        ?assertMatch({error, {primer, _}}, application:ensure_all_started(primer))
    end).

a_default_member_that_closed_is_opened_again() ->
    {ok, _} = application:ensure_all_started(primer),
    {ok, _} = primer:enqueue(jobs, <<"x">>),
    Monitor = monitor(process, primer_default),
    silently(fun() ->
        {ok, Member} = primer_default:member(),
        ok = primer:close(Member),
        receive {'DOWN', Monitor, process, _, _} -> ok end
    end),
    %% The supervisor starts it in the same step in which it sees the end.
    _ = supervisor:which_children(primer_sup),
    {ok, _} = primer:enqueue(jobs, <<"x">>).

stopping_the_application_closes_the_member() ->
    {ok, _} = application:ensure_all_started(primer),
    {ok, Queue} = primer:queue(jobs),
    ok = application:stop(primer),
    ?assertMatch({error, {member_down, closed, _}}, primer:enqueue(Queue, <<"x">>)),
    ?assertMatch({error, {member_down, closed, _}}, primer:enqueue(jobs, <<"x">>)).

%% Expected crash reports are no news.
silently(Work) ->
    #{level := Level} = logger:get_primary_config(),
    ok = logger:set_primary_config(level, none),
    try
        Work()
    after
        logger:set_primary_config(level, Level)
    end.
